package fsm

import (
	"fmt"
	"slices"
	"strconv"
)

// Progress is how far facts show an operation to be.
type Progress struct {
	Done     bool
	Awaiting string // what is still missing, while not done
	Never    string // why it can no longer happen; empty while it can
	// Ask is what else has to be looked at, of the same moment, to tell: it is
	// asked for only where all else is done. Zero in most cases.
	Ask Subject
}

func done() Progress             { return Progress{Done: true} }
func awaiting(s string) Progress { return Progress{Awaiting: s} }
func never(format string, a ...any) Progress {
	return Progress{Never: fmt.Sprintf(format, a...)}
}

// Needs returns what to ask the host to judge Settled of op.
func Needs(op Op, plan Plan, p Policy) Query {
	switch op.Verb {
	case Stop:
		return needsOfStop(op.Arg, p)
	case Run, Start, MaskNow, UnmaskNow:
		return Query{About: AboutUnits, Units: []string{op.Arg}}
	case Isolate:
		return Query{About: AboutHost | AboutUnits, Units: append([]string{op.Arg}, plan.Stops...)}
	case EndSession:
		return Query{About: AboutUnits | AboutSessions, Units: []string{SessionScope(op.Arg)}}
	case StopDesktop, StopAudio, StartAudio:
		return Query{About: AboutSessions}
	case Drain, AwaitReady:
		return Query{About: AboutUnits | AboutInference, Units: []string{op.Arg}, Ready: op.Verb == AwaitReady}
	case AwaitRelease:
		return Query{About: AboutGPU}
	case Countdown:
		return Query{About: AboutIdle}
	case SetBudgets:
		return Query{About: AboutBudgets, Budgets: p.InForce(Mode(op.Arg))}
	}
	return Query{}
}

// SessionScope is the scope unit that logind gives the processes of a session.
func SessionScope(id string) string { return "session-" + id + ".scope" }

// Settled tells from facts whether the post-condition of op holds. A job that
// reports "done" proves nothing (D10): this does.
func Settled(op Op, plan Plan, f Facts, p Policy) Progress {
	switch op.Verb {
	case Drain:
		return drained(op.Arg, f)
	case AwaitReady:
		return ready(op.Arg, f)
	case AwaitRelease:
		return released(f)
	case EndSession:
		return ended(op.Arg, f)
	case StopDesktop, StopAudio, StartAudio:
		return userSettled(op, f)
	case Countdown:
		return Undisturbed(f, 0)
	case SetBudgets:
		return budgeted(Mode(op.Arg), f, p)
	}
	if !f.Units.OK {
		return awaiting("the state of " + op.Arg + ": " + f.Units.Why())
	}
	u := f.Units.Value[op.Arg]
	switch op.Verb {
	case Run:
		return ran(u)
	case Start:
		return started(op.Arg, u)
	case Stop:
		return stopped(op.Arg, u, f, p)
	case MaskNow:
		if u.Load == "masked" && u.Gone() {
			return done()
		}
		return awaiting(op.Arg + " to be masked and stopped, it is " + u.Load + " and " + activeWord(u))
	case UnmaskNow:
		if u.Load == "masked" {
			return awaiting(op.Arg + " to be unmasked")
		}
		return started(op.Arg, u)
	case Isolate:
		return isolated(op.Arg, plan, f, p)
	}
	return never("unknown verb %q", op.Verb)
}

func ran(u Unit) Progress {
	switch {
	case u.Active == "failed":
		return never("%s failed: %s", u.Name, u.Result)
	case u.Gone() || u.Is(true):
		return done()
	}
	return awaiting(u.Name + " to finish, it is " + u.Active)
}

func started(name string, u Unit) Progress {
	switch {
	case u.Is(true):
		return done()
	case u.Load != "loaded" && u.Load != "":
		return never("%s is %s", name, u.Load)
	case u.Active == "failed":
		return never("%s failed: %s", name, u.Result)
	case u.Active == "inactive":
		return never("%s is inactive right after its start: a condition was not met, or it ended at once", name)
	}
	return awaiting(name + " to become active, it is " + activeWord(u))
}

// stopped wants the unit gone and, of an AI unit, nothing left in its control group
// and no process of it left on a GPU (D16). A GPU that cannot be
// read keeps nobody in compute: before anything else is given the GPU, the guards
// ask again, and they refuse.
func stopped(name string, u Unit, f Facts, p Policy) Progress {
	switch {
	case !u.Gone():
		return awaiting(name + " to stop, it is " + activeWord(u))
	case !slices.Contains(p.Units.AIUnits(), name):
		return done()
	case !f.Workers.OK:
		return awaiting("what is left of " + name + ": " + f.Workers.Why())
	}
	if l := left(name, f); len(l) > 0 {
		return awaiting(name + " to be empty, there is " + l[0].String())
	}
	if !f.GPU.OK && f.GPU.Cause == "" {
		return Progress{Awaiting: "a look at the GPUs that " + name + " was on", Ask: AboutGPU}
	}
	for _, h := range f.GPU.Value.Holders {
		if f.GPU.OK && h.Unit == name {
			return awaiting(h.String() + ", though " + name + " is " + activeWord(u))
		}
	}
	return done()
}

// isolated wants the target up, its counterpart down, and no job nor stopping
// unit left of the plan's own set: the target's job ends long before the stops.
func isolated(target string, plan Plan, f Facts, p Policy) Progress {
	if !f.Host.OK {
		return awaiting("the manager's jobs: " + f.Host.Why())
	}
	mine := map[string]bool{target: true}
	for _, name := range plan.Stops {
		mine[name] = true
		if f.Units.Value[name].Active == "deactivating" {
			return awaiting(name + " to stop")
		}
	}
	for _, j := range f.Host.Value.Pending {
		if mine[j.Unit] {
			return awaiting(fmt.Sprintf("the %s job of %s", j.Type, j.Unit))
		}
	}
	other := p.Units.Desktop
	if target == other {
		other = p.Units.Compute
	}
	if u := f.Units.Value[target]; !u.Is(true) {
		return started(target, u)
	}
	if u := f.Units.Value[other]; !u.Gone() {
		return awaiting(other + " to stop, it is " + activeWord(u))
	}
	return done()
}

// ended wants the session gone from logind and its scope gone from systemd; the
// GPU is the business of AwaitRelease (D3).
func ended(id string, f Facts) Progress {
	if !f.Logins.OK {
		return awaiting("logind's sessions: " + f.Logins.Why())
	}
	if !f.Units.OK {
		return awaiting("the scope of session " + id + ": " + f.Units.Why())
	}
	for _, s := range f.Logins.Value.Sessions {
		if s.ID == id {
			return awaiting(fmt.Sprintf("session %s of %s to end, it is %s", id, s.User, s.State))
		}
	}
	if u := f.Units.Value[SessionScope(id)]; !u.Gone() {
		return awaiting(fmt.Sprintf("the processes of session %s, its scope is %s", id, u.Active))
	}
	return done()
}

func userSettled(op Op, f Facts) Progress {
	if !f.Logins.OK {
		return awaiting("logind's users: " + f.Logins.Why())
	}
	for _, u := range f.Logins.Value.Users {
		if strconv.Itoa(u.UID) != op.Arg || !u.Manager {
			continue
		}
		switch {
		case op.Verb == StopDesktop && u.Graphical:
			return awaiting("the graphical-session.target of " + u.Name + " to stop")
		case op.Verb == StopAudio && len(u.Audio) > 0:
			return awaiting(fmt.Sprintf("the audio of %s to stop: %v", u.Name, u.Audio))
		case op.Verb == StartAudio && len(u.Audio) == 0:
			return awaiting("the audio of " + u.Name + " to start")
		}
	}
	return done()
}

func inference(unit string, f Facts) (Inference, bool) {
	for _, i := range f.Inference.Value {
		if i.Unit == unit {
			return i, f.Inference.OK
		}
	}
	return Inference{}, false
}

func drained(unit string, f Facts) Progress {
	if f.Units.OK && f.Units.Value[unit].Gone() {
		return done()
	}
	i, ok := inference(unit, f)
	switch {
	case !ok:
		return awaiting("the requests of " + unit + ": " + f.Inference.Why())
	case !i.Known:
		return awaiting("the requests of " + unit + ": " + i.Cause)
	case i.Running+i.Waiting > 0:
		return awaiting(fmt.Sprintf("%g running and %g waiting requests of %s", i.Running, i.Waiting, unit))
	}
	return done()
}

func ready(unit string, f Facts) Progress {
	if f.Units.OK && f.Units.Value[unit].Gone() {
		return never("%s is %s: %s", unit, activeWord(f.Units.Value[unit]), f.Units.Value[unit].Result)
	}
	if i, ok := inference(unit, f); ok && i.Ready {
		return done()
	}
	return awaiting(unit + " to answer /health")
}

func released(f Facts) Progress {
	if !f.GPU.OK {
		return awaiting("the holders of the display GPU: " + f.GPU.Why())
	}
	if h := f.GPU.Value.DisplayHolders(); len(h) > 0 {
		return awaiting(h[0].String())
	}
	return done()
}
