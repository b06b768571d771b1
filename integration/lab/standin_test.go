package lab

import (
	"strings"
	"testing"
)

func TestStandins(t *testing.T) {
	t.Parallel()
	Need(t)
	tree, err := Standins(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := Boot(t, Options{Install: []string{tree}})
	if err := m.MakeNode(t.Context(), "/dev/nvidia0"); err != nil {
		t.Fatal(err)
	}
	m.Must(t, "systemd-run", "--unit=k3s", "--property=Type=exec", "k3s")
	m.Must(t, "systemd-run", "--unit=vllm", "--property=Type=exec", "vllm", "-open", "/dev/nvidia0", "-ignore-term")
	wantHolders(t, m, "/dev/nvidia0", "vllm")
	wantAnswer(t, m, "/health", "200 OK")
	if err := m.WriteFile("/run/vllm.control", "running=3\nwaiting=1\nready_after=1h\n"); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, m, "/health", "503 Service Unavailable")
	wantAnswer(t, m, "/metrics", `vllm:num_requests_running{engine="0",model_name="stand-in"} 3.0`)
	m.Must(t, "systemctl", "kill", "vllm")
	wantAnswer(t, m, "/metrics", `vllm:num_requests_waiting{engine="0",model_name="stand-in"} 1.0`)
	if !m.Active(t.Context(), "k3s.service") || !m.Active(t.Context(), "vllm.service") {
		t.Error("a stand-in has ended")
	}
}

// wantAnswer waits until an answer of the stand-in server holds the text.
func wantAnswer(t *testing.T, m *Machine, path, want string) {
	t.Helper()
	var got string
	err := WaitFor(t.Context(), want+" from "+path, func() bool {
		r, err := m.Run(t.Context(), "sh", "-c", `printf 'GET %s HTTP/1.0\r\n\r\n' "$1" | socat -t2 - TCP:127.0.0.1:8000`, "sh", path)
		got = r.Stdout
		return err == nil && strings.Contains(got, want)
	})
	if err != nil {
		t.Fatalf("%v; the last answer was:\n%s", err, got)
	}
}
