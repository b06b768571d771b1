package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
)

// request is what a client put into the spool.
type spooled struct {
	Verb string
	Mode fsm.Mode
	ID   string
}

// daemon lets this process be the daemon: act is called with the first request
// that comes, and tells the story by publishing.
func (r *rig) daemon(s fsm.Snapshot, act func(spooled)) {
	r.t.Helper()
	lock := r.alive(daemonName, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if q, ok := r.spool(); ok {
			act(q)
		}
	}()
	r.t.Cleanup(func() { <-done; _ = lock.Release() })
}

// spool waits for a request and takes it.
func (r *rig) spool() (spooled, bool) {
	dir := filepath.Join(r.cfg.RunDir, "requests")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		if len(found) == 0 {
			continue
		}
		var q spooled
		data, err := os.ReadFile(found[0])
		if err != nil || json.Unmarshal(data, &q) != nil || os.Remove(found[0]) != nil {
			break
		}
		return q, true
	}
	r.t.Error("no request came that can be read")
	return spooled{}, false
}

// endings by outcome: what request exits with and says.
func TestRequestExitsAsTheAttemptEnded(t *testing.T) {
	blocked := attempted(fsm.Blocked, fsm.Desktop, "check_audio_idle (10): audio is in use")
	blocked.Verdicts = []fsm.Verdict{audioBlock}
	timedOut := attempted(fsm.Recovered, fsm.Desktop, "end-session 2: timeout")
	timedOut.Exit = fsm.ExitTimeout
	tests := []struct {
		end  fsm.Attempt
		code int
		out  string
	}{
		{attempted(fsm.Reached, fsm.Compute, ""), 0, "compute reached from desktop in 7 s\n"},
		{attempted(fsm.Noop, fsm.Compute, ""), 0, "already in compute"},
		{blocked, 10, "desktop → compute is blocked, nothing was changed\n  block       check_audio_idle (10)"},
		{attempted(fsm.Cancelled, fsm.Desktop, ""), 42, "desktop → compute was cancelled"},
		{attempted(fsm.Superseded, fsm.Desktop, ""), 42, "desktop → compute gave way"},
		{attempted(fsm.Recovered, fsm.Desktop, ""), 40, "desktop → compute failed and was taken back"},
		{attempted(fsm.Degraded, fsm.Desktop, ""), 41, "desktop → compute failed and was only half"},
		{attempted(fsm.Failed, fsm.Desktop, ""), 41, "desktop → compute failed;"},
		{timedOut, 44, "desktop → compute failed and was taken back"},
	}
	for _, test := range tests {
		t.Run(string(test.end.Outcome), func(t *testing.T) {
			r := newRig(t, desk())
			r.daemon(resting(atDesk), func(q spooled) {
				if q.Verb != "request" || q.Mode != fsm.Compute {
					t.Errorf("asked for %+v", q)
				}
				run, end := stopping(), test.end
				run.Wish.ID, end.Wish.ID = q.ID, q.ID
				r.publish(moving(wanting(resting(atDesk)), run))
				r.publish(after(wanting(resting(atDesk)), end))
			})
			if code, out, err := r.run("request", "compute"); code != test.code || !strings.HasPrefix(out, test.out) {
				t.Errorf("exit %d, %q, %q; want %d, %q", code, out, err, test.code, test.out)
			}
		})
	}
}

// One line for each step, in order, on an output that is no terminal.
func TestRequestTellsTheSteps(t *testing.T) {
	r := newRig(t, desk())
	told := make(chan string, 1)
	w := &tee{to: &r.err, want: "step 3/8: end session 2", seen: told}
	r.env.stderr = w
	r.daemon(resting(atDesk), func(q spooled) {
		s := wanting(resting(atDesk))
		s.Wish = &fsm.Wish{ID: q.ID, Mode: fsm.Compute}
		run, end := stopping(), attempted(fsm.Reached, fsm.Compute, "")
		run.Wish.ID, end.Wish.ID = q.ID, q.ID
		r.publish(moving(s, run))
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Error("the step was not told")
		}
		r.publish(after(s, end))
	})
	code, _, _ := r.run("request", "compute")
	if want := "step 3/8: end session 2, at most 20 s\n"; code != 0 || r.err.String() != want {
		t.Errorf("exit %d, progress %q; want 0, %q", code, &r.err, want)
	}
}

// tee tells when a text went by.
type tee struct {
	to   interface{ WriteString(string) (int, error) }
	want string
	seen chan<- string
}

func (w *tee) Write(b []byte) (int, error) {
	if strings.Contains(string(b), w.want) {
		w.seen <- string(b)
	}
	return w.to.WriteString(string(b))
}

// An attempt that ended and was followed by another before the client looked is
// found in the history; one that served the wish besides is ours as well.
func TestRequestFindsAMissedAttempt(t *testing.T) {
	r := newRig(t, desk())
	r.daemon(resting(atDesk), func(q spooled) {
		mine, next := attempted(fsm.Superseded, fsm.Desktop, ""), attempted(fsm.Reached, fsm.Desktop, "")
		mine.ID, mine.Wish.ID, mine.Joined = "mine", "somebody's", []string{q.ID}
		mine.Ended, next.Ended = time.Now(), time.Now()
		next.ID, next.Wish.ID = "next", "another"
		log := history.New(r.cfg.LibDir, 0)
		r.must(log.Append(mine))
		r.must(log.Append(next))
		r.publish(after(resting(atDesk), next))
	})
	if code, out, err := r.run("request", "compute"); code != 42 || !strings.Contains(out, "gave way") {
		t.Errorf("exit %d, %q, %q; want 42 and why", code, out, err)
	}
}

func TestRequestThatIsNotTakenUp(t *testing.T) {
	r := newRig(t, desk())
	r.env.grace = 30 * time.Millisecond
	r.daemon(resting(atDesk), func(spooled) {})
	if code, _, err := r.run("request", "compute"); code != exitError || !strings.Contains(err, "has told nothing of it") {
		t.Errorf("exit %d, %q; want 1 and why", code, err)
	}
}

// The daemon dies in the attempt. If it, or its successor, left a record of it,
// that is the end; if not, that is told.
func TestDaemonDiesWhileFollowed(t *testing.T) {
	for _, record := range []bool{true, false} {
		r := newRig(t, desk())
		if !record {
			r.env.grace = time.Second // all of it is waited for
		}
		lock := r.alive(daemonName, resting(atDesk))
		done := make(chan struct{})
		go func() {
			defer close(done)
			q, _ := r.spool() // a daemon that took it up, and died
			run, end := stopping(), attempted(fsm.Interrupted, fsm.Desktop, "the controller ended at step 3 of 8")
			run.Wish.ID, end.Wish.ID = q.ID, q.ID
			r.publish(moving(wanting(resting(atDesk)), run))
			_ = lock.Release()
			if record {
				r.must(r.dirs().WriteTransition(end))
			}
		}()
		code, out, err := r.run("request", "compute")
		<-done
		if record && (code != fsm.ExitDegraded || !strings.Contains(out, "was interrupted")) {
			t.Errorf("with a record: exit %d, %q, %q", code, out, err)
		}
		if !record && (code != exitError || !strings.Contains(err, "the controller has ended; waiting") || !strings.Contains(err, "left no record")) {
			t.Errorf("without a record: exit %d, %q, %q", code, out, err)
		}
	}
}

func TestDetachReturnsAtOnce(t *testing.T) {
	for _, flag := range []string{"--detach", "--wait=false"} {
		r := newRig(t, desk())
		r.daemon(resting(atDesk), func(spooled) {})
		if code, out, err := r.run("request", flag, "compute"); code != 0 || !strings.HasPrefix(out, "Asked for.") || err != "" {
			t.Errorf("%s: exit %d, %q, %q", flag, code, out, err)
		}
	}
}

func TestReconcileAsksTheDaemon(t *testing.T) {
	r := newRig(t, desk())
	r.daemon(resting(atDesk), func(q spooled) {
		if q.Verb != "reconcile" || q.Mode != "" {
			t.Errorf("asked for %+v", q)
		}
		end := attempted(fsm.Noop, fsm.Desktop, "")
		end.Wish.ID, end.To = q.ID, fsm.Desktop
		r.publish(after(resting(atDesk), end))
	})
	if code, out, _ := r.run("reconcile", "--json"); code != 0 || !strings.Contains(out, `"outcome": "noop"`) {
		t.Errorf("exit %d, %q; want 0 and the record", code, out)
	}
}

func TestForceAsksTheDaemonWhereItIsEnabled(t *testing.T) {
	r := newRig(t, desk())
	r.must(os.WriteFile(r.config(), []byte("[force]\nenabled = true\n"), 0o644))
	if code, _, err := r.run("force", "compute"); code != fsm.ExitNoForce || !strings.Contains(err, "needs the daemon") {
		t.Errorf("without a daemon: exit %d, %q", code, err)
	}
	r.daemon(resting(atDesk), func(q spooled) {
		end := attempted(fsm.Reached, fsm.Compute, "")
		end.Wish.ID, end.Bypassed, end.Verdicts = q.ID, []string{loadBlock.Guard}, []fsm.Verdict{loadBlock}
		if q.Verb == "force" {
			r.publish(after(resting(inCompute), end))
		}
	})
	if code, out, err := r.run("force", "compute"); code != 0 || !strings.Contains(out, "forced, past check_cpu_load_safe") || strings.Contains(out, "block") {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
}

func TestCancel(t *testing.T) {
	tests := []struct {
		end  fsm.Outcome
		code int
		out  string
	}{
		{fsm.Cancelled, 0, "was cancelled"}, {fsm.Reached, 0, "had ended before it could be cancelled"}, {fsm.Failed, 41, "not in order"},
	}
	for _, test := range tests {
		r := newRig(t, desk())
		r.daemon(moving(wanting(resting(atDesk)), stopping()), func(q spooled) {
			if q.Verb != "cancel" {
				t.Errorf("asked for %+v", q)
			}
			r.publish(after(resting(atDesk), attempted(test.end, fsm.Desktop, "")))
		})
		if code, out, err := r.run("cancel"); code != test.code || !strings.Contains(out, test.out) || !strings.Contains(out, "point of no return is passed") {
			t.Errorf("%s: exit %d, %q, %q; want %d, %q", test.end, code, out, err, test.code, test.out)
		}
	}
}

// While mode-controller@ makes an attempt nobody else may; cancel stops it.
func TestBesideOneAttempt(t *testing.T) {
	r := newRig(t, desk())
	s := moving(wanting(resting(atDesk)), stopping())
	defer r.alive(controllerUnit(fsm.Compute), s).Release()
	for _, vars := range []map[string]string{{}, {"MODEWATCH_CONTROLLER": "1"}} {
		r.vars = vars
		if code, _, err := r.run("request", "desktop"); code != fsm.ExitLocked || !strings.Contains(err, "desktop → compute") {
			t.Errorf("%v: exit %d, %q; want 43 and what runs", vars, code, err)
		}
	}
	stopped := ""
	r.env.stop = func(_ context.Context, unit string) error {
		stopped = unit
		return r.dirs().WriteTransition(attempted(fsm.Cancelled, fsm.Desktop, ""))
	}
	if code, out, err := r.run("cancel"); code != 0 || stopped != "mode-controller@compute.service" || !strings.Contains(out, "was cancelled") {
		t.Errorf("exit %d, stopped %q, %q, %q", code, stopped, out, err)
	}
}

// fakeJob is a unit's job that a test ends.
type fakeJob struct {
	done chan string
	code int
}

func (j fakeJob) over() <-chan string { return j.done }
func (j fakeJob) close()              {}
func (j fakeJob) exit(context.Context, string) (int, error) {
	return j.code, nil
}

// Without a daemon systemd is asked to make the attempt (D18).
func TestRequestWithoutDaemonStartsTheController(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		record bool
		code   int
		out    string
		err    string
	}{
		{"request", []string{"request", "compute"}, true, 10, "is blocked", ""},
		{"reconcile", []string{"reconcile"}, true, 10, "is blocked", ""},
		{"no record", []string{"request", "compute"}, false, 10, "", "ended with exit code 10: the attempt left no record"},
		{"detached", []string{"request", "--detach", "compute"}, false, 0, "Started mode-controller@compute.service.", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, desk())
			r.wish("compute")
			old := attempted(fsm.Reached, fsm.Compute, "")
			r.must(r.dirs().WriteTransition(old)) // of long ago
			r.env.start = func(_ context.Context, unit string) (job, error) {
				if unit != "mode-controller@compute.service" {
					t.Errorf("started %s", unit)
				}
				j := fakeJob{make(chan string, 1), 10}
				if test.record {
					end := attempted(fsm.Blocked, fsm.Desktop, "")
					end.Begun = time.Now().Add(time.Second)
					r.must(r.dirs().WriteTransition(end))
				}
				j.done <- "failed"
				return j, nil
			}
			code, out, err := r.run(test.args...)
			if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(err, test.err) {
				t.Errorf("exit %d, %q, %q; want %d, %q, %q", code, out, err, test.code, test.out, test.err)
			}
		})
	}
}

// A unit that another client's cancel stops: its start is cancelled at once, its
// process goes on until the way back is gone, and then its record counts.
func TestControllerIsStoppedByCancel(t *testing.T) {
	r := newRig(t, desk())
	lock := r.alive(controllerUnit(fsm.Compute), moving(resting(atDesk), stopping()))
	r.must(os.Remove(filepath.Join(r.cfg.RunDir, "reconcile.pid"))) // not alive to the first look
	r.env.start = func(context.Context, string) (job, error) {
		r.must(lock.Release())
		lock = r.alive(controllerUnit(fsm.Compute), moving(resting(atDesk), stopping()))
		j := stoppedJob{fakeJob{make(chan string, 1), 0}}
		j.done <- "canceled"
		return j, nil
	}
	told := make(chan string, 1)
	r.env.stderr = &tee{to: &r.err, want: "step 3/8", seen: told}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Error("what is under way was not told")
		}
		end := attempted(fsm.Cancelled, fsm.Desktop, "the controller was told to stop")
		end.Begun = time.Now().Add(time.Second)
		r.must(r.dirs().WriteTransition(end))
		r.must(lock.Release())
	}()
	code, out, err := r.run("request", "compute")
	<-done
	if code != fsm.ExitCancelled || !strings.Contains(out, "was cancelled") || strings.Contains(err, "error") {
		t.Errorf("exit %d, %q, %q; want 42 and the end", code, out, err)
	}
}

type stoppedJob struct{ fakeJob }

func (stoppedJob) exit(context.Context, string) (int, error) { return 0, os.ErrDeadlineExceeded }

// As mode-controller@ without a daemon the attempt is made here.
func TestRequestAsTheController(t *testing.T) {
	r := newRig(t, desk())
	r.vars["MODEWATCH_CONTROLLER"] = "1"
	r.env.once = func(_ context.Context, _ env, w fsm.Wish) int {
		if w.Mode != fsm.Compute || w.Reason != fsm.ByRequest || w.ID == "" || w.By.UID != os.Getuid() || w.Force {
			t.Errorf("wished %+v", w)
		}
		end := attempted(fsm.Recovered, fsm.Desktop, "")
		end.Wish = w
		r.must(r.dirs().WriteTransition(end))
		return end.Exit
	}
	if code, out, err := r.run("request", "compute"); code != fsm.ExitRecovered || !strings.Contains(out, "taken back") || err != "" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
}
