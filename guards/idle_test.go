package guards

import (
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func TestIdle(t *testing.T) {
	in := input(t, onDesktop(), testPolicy(), fsm.Compute)
	in.Policy.Idle = fsm.IdlePolicy{After: time.Minute, MaxGPU: 20}
	now := time.Unix(1e9, 0)
	for name, c := range map[string]struct {
		change func(*fsm.Facts)
		code   int
		reason string
	}{
		"nobody":                 {func(*fsm.Facts) {}, 0, "no input for 1m0s"},
		"input":                  {func(f *fsm.Facts) { f.Idle.Value.Quiet = 3 * time.Second }, 13, "input on keyboard 3s ago"},
		"not watched for long":   {func(f *fsm.Facts) { f.Idle.Value = fsm.Idle{Quiet: 1, Why: "the host woke"} }, 13, "since the host woke"},
		"nothing to touch":       {func(f *fsm.Facts) { f.Idle.Value = fsm.Idle{Quiet: time.Hour, Why: "the start"} }, 0, "no input for 1h0m0s"},
		"unread":                 {func(f *fsm.Facts) { f.Idle = fsm.Reading[fsm.Idle]{Cause: "permission denied"} }, 23, "permission denied"},
		"somebody types":         {types(now.Add(-65 * time.Second)), 13, "uid 1001 typed on /dev/pts/0 1m5s ago"},
		"somebody typed":         {types(now.Add(-69 * time.Second)), 0, ""},
		"the clock was set back": {types(now.Add(time.Hour)), 13, "uid 1001 typed on /dev/pts/0 0s ago"},
		"a GPU is busy":          {func(f *fsm.Facts) { f.GPU.Value.Cards = []fsm.Card{{UUID: "GPU-1", Utilization: 21}} }, 13, "GPU-1 is 21 % busy"},
		"a GPU is nearly idle":   {func(f *fsm.Facts) { f.GPU.Value.Cards = []fsm.Card{{UUID: "GPU-1", Utilization: 20}} }, 0, ""},
		"GPUs unread":            {func(f *fsm.Facts) { f.GPU = fsm.Reading[fsm.GPU]{Cause: "lost"} }, 23, "lost"},
	} {
		x := in
		x.Facts.At = now
		x.Facts.Idle = fsm.Read(fsm.Idle{Quiet: time.Minute, Device: "keyboard", Devices: 1}, nil)
		c.change(&x.Facts)
		if v := nobodyThere.Check(x); v.Code != c.code || v.OK != (c.code == 0) || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: %+v, want %d %s", name, v, c.code, c.reason)
		}
	}
	in.Facts.Idle = fsm.Read(fsm.Idle{}, nil)
	in.Policy.Idle.After = 0
	if v := nobodyThere.Check(in); !v.OK {
		t.Errorf("never idle: %+v", v)
	}
}

func types(at time.Time) func(*fsm.Facts) {
	return func(f *fsm.Facts) {
		f.Idle.Value.Terminals = []fsm.Terminal{{Name: "/dev/pts/0", UID: 1001, Typed: at}}
	}
}
