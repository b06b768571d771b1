package nix

import (
	"slices"
	"strings"
	"testing"
)

const (
	computeDropin = "etc/systemd/system/vllm@compute.service.d/overrides.conf"
	desktopDropin = "etc/systemd/system/vllm@desktop.service.d/overrides.conf"
)

// expected is what is to be seen in each scenario that works.
var expected = map[string]func(t *testing.T, m made){
	"off": func(t *testing.T, m made) {
		if len(m.Files) != 0 || m.Packages != 0 || len(m.Groups) != 0 {
			t.Errorf("it leaves something behind: %v", m.Files)
		}
	},
	"default": func(t *testing.T, m made) {
		same(t, m.at("triggers", "background"), "false", "the gate")
		same(t, m.at("vllm", "units", "compute"), "[]", "the servers of compute")
		same(t, m.at("gpus", "planned"), "2", "the GPUs planned")
		same(t, m.at("gpus", "display"), "[/dev/dri/card* /dev/dri/renderD* /dev/nvidia0]", "the display's nodes")
		same(t, m.at("gpus", "ai"), "[/dev/nvidia1 /dev/nvidia0]", "the AI's nodes")
		same(t, m.at("guards", "audio_idle", "pw_dump"), "/usr/bin/pw-dump", "pw-dump")
		same(t, m.DefaultUnit, "multi-user.target", "the default target")
		m.has(t, "etc/modewatch/capability-placement.json", `"studio":"local"`)
		m.has(t, "etc/modewatch/hardware-topology.json", `"planned":2`, `"present":null`)
		m.has(t, "etc/systemd/system/modewatch.service.d/overrides.conf", "X-StopIfChanged=false", "X-Reload-Triggers=/checked/")
		m.lacks(t, "etc/systemd/system/modewatch.service.d/overrides.conf", "X-RestartIfChanged")
		for _, unit := range []string{"mode-controller@", "audio-priority", "studio-local-policy", "vllm@"} {
			m.has(t, "etc/systemd/system/"+unit+".service.d/overrides.conf", "X-RestartIfChanged=false")
		}
		m.has(t, "etc/systemd/system/multi-user.target.wants/modewatch.service", "modewatch.service")
		m.lacks(t, computeDropin)
		if !strings.Contains(m.Polkit, `action.lookup("verb") == "start"`) || !strings.Contains(m.Polkit, `subject.isInGroup("modewatch")`) {
			t.Errorf("polkit's rule is\n%s", m.Polkit)
		}
	},
	"single": func(t *testing.T, m made) {
		m.has(t, computeDropin, "DeviceAllow=\n", "/dev/nvidia0 rw")
		m.lacks(t, computeDropin, "/dev/nvidia1")
		m.lacks(t, "etc/modewatch/vllm/compute.env", "CUDA_VISIBLE_DEVICES")
		m.has(t, "etc/modewatch/vllm/compute.env", `VLLM_MODEL="stand-in"`)
		same(t, m.at("vllm", "urls", "vllm@compute.service"), "http://127.0.0.1:8000", "the server's address")
		same(t, strings.Join(m.Groups["modewatch"].Members, " "), "bob", "the operators")
		if !slices.Contains(m.Users, "vllm") {
			t.Errorf("the server has no user: %v", m.Users)
		}
	},
	"dual": func(t *testing.T, m made) {
		m.has(t, computeDropin, "/dev/nvidia0 rw", "/dev/nvidia1 rw")
		m.has(t, "etc/modewatch/vllm/compute.env", `CUDA_VISIBLE_DEVICES="GPU-11111111-2222-3333-4444-555555555555,GPU-66666666-7777-8888-9999-000000000000"`)
		m.has(t, "etc/systemd/system/desktop.target.d/overrides.conf", "Wants=lab-extra.service")
		m.lacks(t, "etc/systemd/system/compute.target.d/overrides.conf")
		m.has(t, "etc/modewatch/studio-local.env", `PIPEWIRE_QUANTUM="64/48000"`)
		m.has(t, "etc/modewatch/audio-priority.env", `AUDIO_TIMERS=" "`)
		same(t, m.at("vllm", "units", "desktop"), "[]", "the servers of desktop")
	},
	"external": func(t *testing.T, m made) {
		m.has(t, "etc/modewatch/capability-placement.json", `"studio":"external-mac-mini"`)
		m.has(t, "etc/systemd/system/studio-local-policy.service.d/overrides.conf", "RefuseManualStart=true")
		m.has(t, "etc/systemd/system/audio-priority.service.d/overrides.conf", "RefuseManualStart=true")
	},
	"cluster": func(t *testing.T, m made) {
		same(t, m.at("transitions", "studio_to_compute"), "via-desktop", "the way from studio to compute")
		same(t, m.DefaultUnit, "desktop.target", "the default target")
		same(t, strings.Join(m.K3s, " "), "--kubelet-arg=cgroup-root=/platform", "the kubelet's arguments")
		same(t, m.at("units", "session_starters"), "[greetd.service]", "what starts sessions")
	},
	"lacking": func(t *testing.T, m made) {
		same(t, m.at("vllm", "units", "desktop"), "[]", "the servers of desktop")
		m.lacks(t, desktopDropin)
		m.lacks(t, "etc/modewatch/vllm/desktop.env")
		m.lacks(t, computeDropin, "/dev/nvidia1")
		m.has(t, "etc/modewatch/hardware-topology.json", `"planned":2`, `"present":[0]`)
	},
	"gate": func(t *testing.T, m made) {
		same(t, m.at("triggers", "background"), "true", "the gate")
		same(t, m.at("triggers", "idle", "after"), "1h", "the idle time")
		same(t, m.at("triggers", "idle", "countdown"), "30s", "the countdown")
	},
	"desk-server": func(t *testing.T, m made) {
		same(t, m.at("vllm", "units", "desktop"), "[vllm@desktop.service]", "the servers of desktop")
		same(t, m.at("vllm", "urls", "vllm@desktop.service"), "http://127.0.0.1:8001", "the server's address")
		m.has(t, desktopDropin, "/dev/nvidia1 rw", "MemoryMax=16G", "LoadCredential=vllm-api-key:/run/secrets/vllm")
		m.lacks(t, desktopDropin, "/dev/nvidia0")
		m.has(t, "etc/modewatch/vllm/desktop.env", `VLLM_ARGS="--gpu-memory-utilization 0.50"`, `VLLM_PORT="8001"`)
	},
	"own-unit": func(t *testing.T, m made) {
		same(t, m.at("vllm", "units", "compute"), "[inference.service]", "the servers of compute")
		same(t, m.at("vllm", "urls", "inference.service"), "http://127.0.0.1:8000", "the server's address")
		m.lacks(t, computeDropin)
		m.lacks(t, "etc/modewatch/vllm/compute.env")
	},
	"autologin": func(t *testing.T, m made) {
		same(t, m.at("units", "session_starters"), "[display-manager.service getty@tty1.service]", "what starts sessions")
	},
	"example": func(t *testing.T, m made) {
		same(t, m.at("guards", "memory_headroom", "model"), "40GiB", "the model's size")
		same(t, m.at("units", "session_starters"), "[greetd.service]", "what starts sessions")
		same(t, strings.Join(m.K3s, " "), "--kubelet-arg=cgroup-root=/platform", "the kubelet's arguments")
		m.has(t, "etc/modewatch/vllm/compute.env", `VLLM_ARGS="--gpu-memory-utilization 0.90"`)
		m.lacks(t, computeDropin, "/dev/nvidia1")
	},
	"virtual": func(t *testing.T, m made) {
		same(t, m.at("vllm", "units", "compute"), "[inference.service]", "the servers of compute")
	},
	"external-with-studio": func(t *testing.T, m made) { m.lacks(t, "etc/modewatch/studio-local.env") },
	"return-in-vain":       func(t *testing.T, m made) { same(t, m.at("triggers", "return"), "true", "the return") },
	"no-polkit":            func(t *testing.T, m made) { same(t, m.Polkit, "", "polkit's rule") },
}

func same(t *testing.T, got, want, what string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestWhatTheModuleMakes(t *testing.T) {
	scenarios := evaluated(t).Scenarios
	for name, m := range scenarios {
		look, ok := expected[name]
		switch {
		case strings.HasPrefix(name, "bad-"):
		case !ok:
			t.Errorf("nobody says what scenario %s must come to", name)
		default:
			t.Run(name, func(t *testing.T) { look(t, m) })
		}
	}
	for name := range expected {
		if _, ok := scenarios[name]; !ok {
			t.Errorf("there is no scenario %s", name)
		}
	}
}

// No unit that a transition starts or stops may be wanted by a target: every switch
// would start it again, in any mode.
func TestNoTargetWantsAServer(t *testing.T) {
	for name, m := range evaluated(t).Scenarios {
		for path := range m.Files {
			if strings.Contains(path, ".wants/vllm") && name != "bad-wanted-by" {
				t.Errorf("%s has %s", name, path)
			}
		}
	}
}
