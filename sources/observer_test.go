package sources

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// whole is an observer whose probes all answer something that is not zero.
func whole() *Observer {
	return &Observer{
		Within: 5 * time.Second,
		Host:   func(context.Context) (fsm.Host, error) { return fsm.Host{Manager: "running"}, nil },
		Units: func(_ context.Context, extra []string, _ bool) (map[string]fsm.Unit, error) {
			out := map[string]fsm.Unit{"vllm.service": {Active: "active"}}
			for _, name := range extra {
				out[name] = fsm.Unit{Name: name}
			}
			return out, nil
		},
		Logins: func(context.Context) (fsm.Logins, error) { return fsm.Logins{Users: []fsm.User{{UID: 1000}}}, nil },
		StopSets: func(_ context.Context, targets []string) (map[string]fsm.StopSet, error) {
			return map[string]fsm.StopSet{targets[0]: {Target: targets[0]}}, nil
		},
		Procs: func(_ context.Context, about fsm.Subject) fsm.Facts {
			var f fsm.Facts
			if about&fsm.AboutGPU != 0 {
				f.GPU = fsm.Read(fsm.GPU{Present: []string{"/dev/dri/card0"}}, nil)
			}
			if about&fsm.AboutAudio != 0 {
				f.Audio = fsm.Read(fsm.Audio{Looked: []string{"x"}}, nil)
			}
			if about&fsm.AboutJobs != 0 {
				f.Jobs = fsm.Read([]fsm.UserJob{{What: "rsync"}}, nil)
			}
			return f
		},
		Load:   func(context.Context) (fsm.Load, error) { return fsm.Load{CPUSome: 3}, nil },
		Memory: func(context.Context) (fsm.Memory, error) { return fsm.Memory{Available: 4}, nil },
		Inference: func(_ context.Context, units map[string]fsm.Unit, _ bool) ([]fsm.Inference, error) {
			var out []fsm.Inference
			for name := range units {
				out = append(out, fsm.Inference{Unit: name, Known: true})
			}
			return out, nil
		},
		Placement:  func(context.Context) (fsm.Placement, error) { return fsm.Placement{Studio: "local"}, nil },
		Inhibitors: func(context.Context) ([]fsm.Inhibitor, error) { return []fsm.Inhibitor{{Who: "x"}}, nil },
		Site: func(_ context.Context, to fsm.Mode) ([]fsm.SiteVerdict, error) {
			return []fsm.SiteVerdict{{Name: string(to)}}, nil
		},
		Budgets: func(_ context.Context, of []fsm.Budget) ([]fsm.Budget, error) { return of, nil },
		Holds:   func(context.Context) ([]fsm.Hold, error) { return []fsm.Hold{{ID: "h"}}, nil },
		Idle:    func(context.Context) (fsm.Idle, error) { return fsm.Idle{Devices: 1}, nil },
	}
}

var everything = fsm.Query{About: fsm.Everything, Units: []string{"extra.service"}, Targets: []string{"compute.target"}, Wish: fsm.Compute,
	Budgets: []fsm.Budget{{Slice: "ai.slice"}}}

// readings lists, by the subject's name, whether each reading is OK and its cause.
func readings(f fsm.Facts) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if r := v.Field(i); r.Kind() == reflect.Struct && r.FieldByName("OK").IsValid() {
			state := "ok"
			if !r.FieldByName("OK").Bool() {
				state = r.MethodByName("Why").Call(nil)[0].String()
			}
			out[v.Type().Field(i).Name] = state
		}
	}
	return out
}

// field is the field of Facts that a subject fills.
var field = map[fsm.Subject]string{fsm.AboutHost: "Host", fsm.AboutUnits: "Units", fsm.AboutSessions: "Logins", fsm.AboutStopSets: "StopSets",
	fsm.AboutAudio: "Audio", fsm.AboutGPU: "GPU", fsm.AboutLoad: "Load", fsm.AboutMemory: "Memory", fsm.AboutJobs: "Jobs",
	fsm.AboutInference: "Inference", fsm.AboutPlacement: "Placement", fsm.AboutInhibitors: "Inhibitors", fsm.AboutSite: "Site",
	fsm.AboutBudgets: "Budgets", fsm.AboutHolds: "Holds", fsm.AboutIdle: "Idle"}

func TestEverything(t *testing.T) {
	f := whole().Observe(t.Context(), everything)
	for name, state := range readings(f) {
		if state != "ok" {
			t.Errorf("%s: %s", name, state)
		}
	}
	if _, ok := f.Units.Value["extra.service"]; !ok || f.StopSets.Value["compute.target"].Target == "" || f.Site.Value[0].Name != "compute" ||
		len(f.Inference.Value) != 2 || len(f.Budgets.Value) != 1 || f.At.IsZero() {
		t.Errorf("arguments were lost: %+v", f)
	}
	if len(field) != len(fsm.SubjectNames) || len(readings(f)) != len(field) {
		t.Errorf("%d subjects, %d fields, %d tested", len(fsm.SubjectNames), len(readings(f)), len(field))
	}
}

// Only what is asked for is looked at.
func TestOneSubjectAtATime(t *testing.T) {
	for about, want := range field {
		f := whole().Observe(t.Context(), fsm.Query{About: about, Targets: []string{"x"}})
		for name, state := range readings(f) {
			if (state == "ok") != (name == want) || name != want && state != "not looked at" {
				t.Errorf("asked for %s: %s is %q", want, name, state)
			}
		}
	}
	if f := whole().Observe(t.Context(), fsm.Query{}); f.Host.OK {
		t.Error("asked for nothing and got something")
	}
}

func TestMemoryOfUnitsIsReadWhereItIsAskedFor(t *testing.T) {
	o, asked := whole(), false
	o.Units = func(_ context.Context, _ []string, memory bool) (map[string]fsm.Unit, error) {
		asked = memory
		return nil, nil
	}
	for about, want := range map[fsm.Subject]bool{fsm.AboutUnits: false, fsm.AboutUnits | fsm.AboutMemory: true} {
		o.Observe(t.Context(), fsm.Query{About: about})
		if asked != want {
			t.Errorf("asked for %b: the memory of units is read: %v", about, asked)
		}
	}
}

func TestUnitsAreReadOnce(t *testing.T) {
	o, calls := whole(), atomic.Int32{}
	units := o.Units
	o.Units = func(ctx context.Context, extra []string, memory bool) (map[string]fsm.Unit, error) {
		calls.Add(1)
		return units(ctx, extra, memory)
	}
	o.Observe(t.Context(), fsm.Query{About: fsm.AboutUnits | fsm.AboutInference})
	if calls.Load() != 1 {
		t.Errorf("units were read %d times", calls.Load())
	}
	asked := false
	o.Inference = func(_ context.Context, _ map[string]fsm.Unit, ready bool) ([]fsm.Inference, error) {
		asked = ready
		return nil, nil
	}
	if o.Observe(t.Context(), fsm.Query{About: fsm.AboutInference, Ready: true}); !asked {
		t.Error("a question for readiness was not passed on")
	}
	o.Units = func(context.Context, []string, bool) (map[string]fsm.Unit, error) { return nil, errors.New("bus gone") }
	o.Inference = func(context.Context, map[string]fsm.Unit, bool) ([]fsm.Inference, error) {
		t.Error("servers were asked without knowing which run")
		return nil, nil
	}
	f := o.Observe(t.Context(), fsm.Query{About: fsm.AboutInference})
	if f.Inference.OK || !strings.Contains(f.Inference.Why(), "which AI units run: bus gone") {
		t.Errorf("%+v", f.Inference)
	}
}

func TestFailurePanicAndNil(t *testing.T) {
	o := whole()
	o.Host = func(context.Context) (fsm.Host, error) { return fsm.Host{Manager: "half"}, errors.New("no bus") }
	o.Load = func(context.Context) (fsm.Load, error) {
		var none []int
		return fsm.Load{CPUSome: float64(none[len(o.host.since.String())])}, nil // a runtime panic
	}
	o.Procs = func(context.Context, fsm.Subject) fsm.Facts { panic("boom") }
	o.Memory = nil
	o.Site = nil
	f := o.Observe(t.Context(), everything)
	got := readings(f)
	for name, want := range map[string]string{"Host": "no bus", "Load": "the load probe panicked at observer_test.go:",
		"GPU": "the processes probe panicked at observer_test.go:", "Audio": "boom", "Jobs": "boom", "Memory": "no probe", "Site": "no probe"} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	for name, state := range got {
		if state != "ok" {
			t.Errorf("%s: %s", name, state)
		}
	}
	if f.Host.Value.Manager != "" {
		t.Error("a failed probe left a value")
	}
	if again := o.Observe(t.Context(), everything); !strings.Contains(again.Load.Why(), "panicked") {
		t.Errorf("after a panic: %q", again.Load.Why())
	}
}

// A probe that heeds its context says itself why; one that does not is named,
// and is not called again while it hangs; the others answer all the same.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, wake, calls := whole(), make(chan struct{}), atomic.Int32{}
		o.Logins = func(ctx context.Context) (fsm.Logins, error) {
			calls.Add(1)
			<-wake
			return fsm.Logins{}, nil
		}
		o.Host = func(ctx context.Context) (fsm.Host, error) {
			<-ctx.Done()
			return fsm.Host{}, fmt.Errorf("cannot ask the manager: %w", ctx.Err())
		}
		began := time.Now()
		f := o.Observe(t.Context(), everything)
		if took := time.Since(began); took != o.Within+grace {
			t.Errorf("took %v, want %v", took, o.Within+grace)
		}
		if why := f.Logins.Why(); f.Logins.OK || !strings.Contains(why, "the sessions probe gave no answer in 5.05s") {
			t.Errorf("sessions: %q", why)
		}
		if why := f.Host.Why(); !strings.Contains(why, "cannot ask the manager: context deadline exceeded") {
			t.Errorf("host: %q", why)
		}
		if !f.Units.OK || !f.GPU.OK {
			t.Error("the others did not answer")
		}
		synctest.Wait() // until those that have answered are gone
		goroutines := runtime.NumGoroutine()
		for range 100 {
			began := time.Now()
			f := o.Observe(t.Context(), fsm.Query{About: fsm.AboutSessions})
			if why := f.Logins.Why(); !strings.Contains(why, "still hanging since") || time.Since(began) != 0 {
				t.Fatalf("%q after %v", why, time.Since(began))
			}
		}
		synctest.Wait()
		// The runtime has goroutines of its own that come and go; a leak would be of a hundred.
		if n := runtime.NumGoroutine(); calls.Load() != 1 || n > goroutines+50 {
			t.Errorf("%d calls, %d goroutines, %d before", calls.Load(), n, goroutines)
		}
		close(wake)
		synctest.Wait()
		if f := o.Observe(t.Context(), fsm.Query{About: fsm.AboutSessions}); !f.Logins.OK {
			t.Errorf("after it came back: %q", f.Logins.Why())
		}
	})
}

// Looks side by side do not take each other for hanging; a look that is given
// up by its caller ends at once.
func TestSideBySideAndCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := whole()
		o.Load = func(ctx context.Context) (fsm.Load, error) {
			time.Sleep(time.Second)
			return fsm.Load{}, nil
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if f := o.Observe(t.Context(), everything); !f.Load.OK {
					t.Errorf("%q", f.Load.Why())
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if f := o.Observe(ctx, everything); f.Load.OK || time.Since(began) != 100*time.Millisecond+grace {
			t.Errorf("%+v after %v", f.Load, time.Since(began))
		}
		time.Sleep(time.Minute) // the given-up call returns
		if f := o.Observe(t.Context(), everything); !f.Load.OK {
			t.Errorf("%q", f.Load.Why())
		}
	})
}
