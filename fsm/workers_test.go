package fsm

import "testing"

func TestOrphansAreNamed(t *testing.T) {
	h := newHost().unit(vllm, "failed")
	workers(Worker{PID: 812, UID: 990, Comm: "VLLM::EngineCor", Unit: vllm, Stuck: true},
		Worker{PID: 813, UID: 990, Comm: "python3", Unit: vllm, Node: "/dev/nvidia0", Outside: "a child of PID 812 in " + vllm})(h)
	want := []string{
		"VLLM::EngineCor (PID 812, uid 990) in vllm@compute.service; it sleeps uninterruptibly (state D), which a reboot alone ends if it stays, but vllm@compute.service is failed",
		"python3 (PID 813, uid 990) holds /dev/nvidia0, a child of PID 812 in vllm@compute.service, but vllm@compute.service is failed",
	}
	got := orphaned(Compute, h.read(), testPolicy())
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, d := range got {
		if d.Evidence != want[i] {
			t.Errorf("%q, want %q", d.Evidence, want[i])
		}
	}
	f := h.read()
	f.Workers.OK = false
	if got := orphaned(Compute, f, testPolicy()); got != nil {
		t.Errorf("workers that were not read: %+v", got)
	}
}
