package fsm

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is stale: run go test ./fsm -update and read the difference; got:\n%s", path, got)
	}
}

const vllm = "vllm@compute.service"

// testPolicy has something of everything: a display manager, an overlay, a
// hook, budgets and one AI unit in compute.
func testPolicy() Policy {
	return Policy{
		Units: Units{
			Own: []string{"modewatch.service"}, Desktop: "desktop.target", Compute: "compute.target",
			StudioPolicy: "studio-local-policy.service", AudioPriority: "audio-priority.service",
			AI: map[Mode][]string{Compute: {vllm}}, Starters: []string{"display-manager.service"},
			Prepare: map[Mode]string{Desktop: "mode-prepare-desktop.service", StudioLocal: "mode-prepare-studio-local.service", Compute: "mode-prepare-compute.service"},
		},
		Deadlines: Deadlines{Start: 90 * time.Second, Stop: 80 * time.Second, Isolate: 60 * time.Second, SessionTerm: 10 * time.Second,
			SessionKill: 5 * time.Second, GPURelease: 30 * time.Second, Ready: 10 * time.Minute, Drain: 5 * time.Minute,
			Audio: 14 * time.Second, Prepare: 61 * time.Second, Budgets: 4 * time.Second},
		Inference: InferencePolicy{URL: map[string]string{vllm: "http://127.0.0.1:8000"}, Ready: true, OnTimeout: DrainStop},
		Budgets: map[Mode][]Budget{
			Desktop:     {{"ai.slice", "CPUWeight", 50}},
			StudioLocal: {{"ai.slice", "CPUWeight", 10}},
			Compute:     {{"ai.slice", "CPUWeight", 800}},
		},
		StudioToCompute: StudioDirect,
	}
}

func read[T any](v T) Reading[T] { return Reading[T]{OK: true, Value: v} }

// host is a host that tests change before they read its facts.
type host struct {
	units  map[string]Unit
	logins Logins
	facts  Facts // what is neither
}

func newHost() *host {
	h := &host{units: map[string]Unit{}}
	for _, name := range []string{"desktop.target", "compute.target", "studio-local-policy.service", "audio-priority.service", vllm, "display-manager.service"} {
		h.unit(name, "inactive")
	}
	h.facts.Host = read(Host{Manager: "running"})
	h.facts.GPU = read(GPU{Present: []string{"/dev/dri/card0"}})
	h.facts.Inference = read([]Inference(nil))
	h.facts.Workers = read([]Worker(nil))
	h.facts.StopSets = read(map[string]StopSet{
		"compute.target": {Target: "compute.target", Stops: []StopUnit{{Name: "graphical.target"}, {Name: "cups.service"}}},
		"desktop.target": {Target: "desktop.target", Stops: []StopUnit{{Name: vllm}, {Name: "compute.target"}}},
	})
	return h
}

func (h *host) unit(name, active string) *host {
	h.units[name] = Unit{Name: name, Load: "loaded", Active: active}
	return h
}

func (h *host) masked(name string) *host {
	h.units[name] = Unit{Name: name, Load: "masked", Runtime: true, Active: "inactive"}
	return h
}

func (h *host) session(s Session) *host {
	h.logins.Sessions = append(h.logins.Sessions, s)
	return h
}

func (h *host) user(u User) *host {
	h.logins.Users = append(h.logins.Users, u)
	return h
}

// alice is at a sway that a display manager started.
func (h *host) alice() *host {
	return h.unit("desktop.target", "active").
		session(Session{ID: "c2", User: "alice", UID: 1000, Class: "user", Type: "wayland", State: "active", Graphical: true, Why: "it is of type wayland"}).
		user(User{UID: 1000, Name: "alice", Manager: true, Graphical: true, AudioLoaded: true, Audio: []string{"pipewire.socket", "pipewire.service"}})
}

func (h *host) read() Facts {
	f := h.facts
	f.Units, f.Logins = read(maps.Clone(h.units)), read(h.logins)
	return f
}

// hosts are the situations that plans are written out for.
var hosts = map[string]func() *host{
	"one-session": func() *host { return newHost().alice().unit("display-manager.service", "active") },
	"greeter": func() *host {
		return newHost().unit("desktop.target", "active").unit("display-manager.service", "active").
			session(Session{ID: "c1", User: "gdm", UID: 120, Class: "greeter", Type: "wayland", Graphical: true, Why: "it is of type wayland"})
	},
	"nothing-graphical": func() *host {
		h := newHost().unit("desktop.target", "active")
		h.units["display-manager.service"] = Unit{Name: "display-manager.service", Load: "not-found"}
		return h
	},
	"hooks": func() *host {
		h := newHost().alice()
		for _, m := range Modes {
			h.unit("mode-prepare-"+string(m)+".service", "inactive")
		}
		return h
	},
	"ai-by-hand": func() *host { return newHost().alice().unit(vllm, "active") },
	"two-sessions": func() *host {
		return newHost().alice().
			session(Session{ID: "4", User: "bob", UID: 1001, Class: "user", Type: "tty", Graphical: true, Why: "Hyprland runs in it"}).
			session(Session{ID: "5", User: "carol", UID: 1002, Class: "user", Type: "tty", Remote: true})
	},
	"overlay-beside-ai": func() *host {
		return newHost().alice().unit("studio-local-policy.service", "active").unit("audio-priority.service", "active").unit(vllm, "active")
	},
	"overlay-on-compute": func() *host {
		return newHost().alice().unit("studio-local-policy.service", "active").unit("audio-priority.service", "active").unit("compute.target", "active").unit("desktop.target", "inactive")
	},
	"overlay-left-half-way": func() *host {
		return newHost().unit("studio-local-policy.service", "active").unit("audio-priority.service", "active").masked("display-manager.service")
	},
	"overlay": func() *host {
		return newHost().alice().unit("display-manager.service", "active").
			unit("studio-local-policy.service", "active").unit("audio-priority.service", "active")
	},
	"overlay-on-nothing": func() *host {
		return newHost().unit("studio-local-policy.service", "active").unit("audio-priority.service", "active")
	},
	"half-an-overlay": func() *host { return newHost().alice().unit("studio-local-policy.service", "active") },
	"fresh-boot":      func() *host { return newHost().unit("display-manager.service", "active") },
	"compute": func() *host {
		return newHost().unit("compute.target", "active").unit(vllm, "active").masked("display-manager.service")
	},
	"compute-without-ai": func() *host {
		return ownerMasked(newHost().unit("compute.target", "active").unit(vllm, "failed"))
	},
	"one-user-twice": func() *host {
		return newHost().alice().
			session(Session{ID: "7", User: "alice", UID: 1000, Class: "user", Type: "x11", Graphical: true, Why: "it is of type x11"}).
			session(Session{ID: "8", User: "erin", UID: 1004, Class: "user", Type: "tty", Graphical: true, Why: "sway runs in it"}).
			user(User{UID: 1004, Name: "erin", Manager: true}).
			user(User{UID: 1005, Name: "frank", Manager: true, Graphical: true})
	},
	"compute-with-a-lingering-user": func() *host {
		return newHost().unit("compute.target", "active").unit(vllm, "activating").
			user(User{UID: 1000, Name: "alice", Linger: true, Manager: true, AudioLoaded: true}).
			user(User{UID: 1003, Name: "dave", Linger: true, Manager: true})
	},
	"a-session-in-compute": func() *host {
		return newHost().alice().unit("desktop.target", "inactive").unit("compute.target", "active").unit(vllm, "active")
	},
}
