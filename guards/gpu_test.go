package guards

import (
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestGPUReleasedPredicts(t *testing.T) {
	hold := func(h fsm.GPUHolder) func(*Input) {
		return func(in *Input) {
			h.PID, h.Comm, h.Node, h.Display = 77, "x", "/dev/dri/card0", true
			in.Facts.GPU.Value.Holders = append(in.Facts.GPU.Value.Holders, h)
		}
	}
	session := func(s fsm.Session) func(*Input) {
		return func(in *Input) { in.Facts.Logins.Value.Sessions = append(in.Facts.Logins.Value.Sessions, s) }
	}
	both := func(fs ...func(*Input)) func(*Input) {
		return func(in *Input) {
			for _, f := range fs {
				f(in)
			}
		}
	}
	ssh := session(fsm.Session{ID: "5", User: "bob", UID: 1001, Class: "user", Service: "sshd"})
	aliceToo := session(fsm.Session{ID: "6", User: "alice", UID: 1000, Class: "user", Service: "sshd"})
	greeter := session(fsm.Session{ID: "c1", User: "gdm", UID: 120, Class: "greeter"})
	run(t, "check_gpu_display_released", []row{
		{"the session that ends", onDesktop, fsm.Compute, nil, "", 0, "1 holders"},
		{"by its scope alone", onDesktop, fsm.Compute, hold(fsm.GPUHolder{UID: 1000, Unit: "session-c2.scope"}), "", 0, "2 holders"},
		{"no GPU at all", onDesktop, fsm.Compute, func(in *Input) { in.Facts.GPU.Value = fsm.GPU{} }, "", 0, "no GPU device node"},
		{"NVML beside the nodes", onDesktop, fsm.Compute, func(in *Input) {
			in.Facts.GPU.Value.Looked = []string{"NVML of driver 580"}
		}, "", 0, "1 holders; NVML of driver 580; device nodes: "},
		{"one that NVML alone lists", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "mining.service", Kind: "compute", Memory: 5 << 30}), "", 11,
			"x (PID 77, uid 0, mining.service) holds /dev/dri/card0 (compute, 5120 MiB): nothing in this plan ends it"},
		{"infrastructure", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Infra: true}), "", 0, "1 holders"},
		{"the other GPU", onDesktop, fsm.Compute, func(in *Input) {
			hold(fsm.GPUHolder{})(in)
			in.Facts.GPU.Value.Holders[1].Display = false
		}, "", 0, "1 holders"},
		{"an ssh session", onDesktop, fsm.Compute, both(ssh, hold(fsm.GPUHolder{UID: 1001, Session: "5"})), "", 11, "does not end session 5 of bob (sshd)"},
		{"the display manager", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "display-manager.service"}), "", 0, "2 holders"},
		{"its greeter", onDesktop, fsm.Compute, both(greeter, hold(fsm.GPUHolder{UID: 120, Session: "c1"})), "", 0, "2 holders"},
		{"a greeter of nobody", onDesktop, fsm.Compute, both(greeter, hold(fsm.GPUHolder{UID: 120, Session: "c1"}), func(in *Input) {
			in.Plan.Steps = in.Plan.Steps[1:] // not held back
		}), "", 11, "greeter session c1"},
		{"the user manager", onDesktop, fsm.Compute, hold(fsm.GPUHolder{UID: 1000, Unit: "user@1000.service"}), "", 0, "2 holders"},
		{"of a lingering user", onDesktop, fsm.Compute, both(hold(fsm.GPUHolder{UID: 1000, Unit: "user@1000.service"}), func(in *Input) {
			in.Facts.Logins.Value.Users[0].Linger = true
		}), "", 11, "alice lingers, so that user@1000.service stays"},
		{"of a user who is also on ssh", onDesktop, fsm.Compute, both(aliceToo, hold(fsm.GPUHolder{UID: 1000, Unit: "user@1000.service"})), "", 11, "does not end session 6 of alice (sshd)"},
		{"of an unknown user", onDesktop, fsm.Compute, hold(fsm.GPUHolder{UID: 1002, Unit: "user@1002.service"}), "", 11, "logind does not know uid 1002"},
		{"an unknown session", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Session: "9"}), "", 11, "logind does not know session 9"},
		{"one that just ended", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Session: "9"}), fsm.EndSession, 0, ""},
		{"a service named like a session", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "session-c2.service"}), "", 11, "nothing in this plan ends it"},
		{"a scope that is no session's", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "c2.scope"}), "", 11, "nothing in this plan ends it"},
		{"the display manager, and no session to end", onDesktop, fsm.Compute, func(in *Input) {
			in.Plan.Ends = nil
			in.Facts.GPU.Value.Holders[0] = fsm.GPUHolder{Comm: "X", Display: true, Unit: "display-manager.service"}
		}, "", 0, "1 holders"},
		{"a session to end, and nothing to isolate", onDesktop, fsm.Compute, func(in *Input) {
			in.Plan.Steps = in.Plan.Steps[:2]
		}, "", 0, "1 holders"},
		{"a foreign service", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "mining.service"}), "", 11, "x (PID 77, uid 0, mining.service) holds /dev/dri/card0: nothing in this plan ends it"},
		{"ended too late by the isolate", onDesktop, fsm.Compute, both(hold(fsm.GPUHolder{Unit: "kiosk.service"}), func(in *Input) {
			in.Plan.Stops = []string{"kiosk.service"}
		}), "", 11, "free before that"},
		{"foreign before the session ends", onDesktop, fsm.Compute, hold(fsm.GPUHolder{Unit: "mining.service"}), fsm.EndSession, 11, "mining.service"},
		{"GPU unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.GPU = broken[fsm.GPU]() }, "", 21, "the probe broke"},
		{"sessions unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Logins = broken[fsm.Logins]() }, "", 21, "the probe broke"},
	})
}

func TestGPUReleasedForReal(t *testing.T) {
	free := func(in *Input) { in.Facts.GPU.Value.Holders = nil }
	vllm := func(in *Input) {
		in.Facts.GPU.Value.Holders = []fsm.GPUHolder{{PID: 70, Comm: "python3", Node: "/dev/dri/card0", Display: true, Unit: "vllm@compute.service"}}
	}
	second := func(in *Input) {
		in.Policy.Units.AI[fsm.Compute] = append(in.Policy.Units.AI[fsm.Compute], "vllm-b.service")
	}
	run(t, "check_gpu_display_released", []row{
		{"free before the isolate", onDesktop, fsm.Compute, free, fsm.Isolate, 0, "nobody"},
		{"held before the isolate", onDesktop, fsm.Compute, nil, fsm.Isolate, 11, "sway (PID 900, uid 1000, session-c2.scope) holds"},
		{"held by vLLM before the isolate", onDesktop, fsm.Compute, vllm, fsm.Isolate, 11, "vllm@compute.service"},
		{"held before the start", onDesktop, fsm.Compute, nil, fsm.Start, 11, "sway"},
		{"held by an AI unit of compute before the start of another", onDesktop, fsm.Compute, vllm, fsm.Start, 0, "nobody"},
		{"held, and logind does not answer", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Logins = broken[fsm.Logins]() }, fsm.Isolate, 11, "sway"},
		{"repair beside an AI unit", inCompute, fsm.Compute, second, "", 0, "nobody"},
		{"repair with a foreign holder", inCompute, fsm.Compute, func(in *Input) {
			in.Facts.GPU.Value.Holders[0].Unit = "user@1000.service"
		}, "", 11, "user@1000.service"},
	})
}
