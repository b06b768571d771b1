package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// observed is the JSON document of observe.
type observed struct {
	Schema      int             `json:"schema"`
	At          time.Time       `json:"at"`
	Observation fsm.Observation `json:"observation"`
	Facts       fsm.Facts       `json:"facts"`
}

// runObserve looks at everything, afresh. As root, and while no controller
// does it, it refreshes the file current (section 21.2).
func runObserve(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	host, done := e.host(cfg)
	defer done()
	facts := lookAtAll(context.Background(), host, cfg.Policy)
	doc := observed{Schema: fsm.Schema, At: facts.At, Observation: fsm.Classify(facts, cfg.Policy), Facts: facts}
	if err := refresh(cfg, doc); err != nil {
		return 0, err
	}
	code := unknownCode(fsm.State(doc.Observation.Mode))
	if e.asJSON {
		return code, e.printJSON(doc)
	}
	p := e.page(12)
	p.facts(doc, cfg.Policy)
	return code, e.show(p)
}

// lookAtAll asks for every subject, with the stop sets of both targets.
func lookAtAll(ctx context.Context, host engine.Host, p fsm.Policy) fsm.Facts {
	ctx, cancel := context.WithTimeout(ctx, p.Deadlines.Observe)
	defer cancel()
	return host.Observe(ctx, fsm.Query{About: fsm.Everything, Targets: []string{p.Units.Desktop, p.Units.Compute}, Budgets: p.InForce(fsm.Unknown)})
}

// refresh writes the file current unless somebody else keeps it.
func refresh(cfg config.Config, doc observed) error {
	if os.Geteuid() != 0 {
		return nil
	}
	d := runfiles.Dirs{Run: cfg.RunDir, Lib: cfg.LibDir}
	if alive, err := d.Alive(); alive || err != nil {
		return err
	}
	if _, err := os.Stat(cfg.RunDir); err != nil {
		return nil // not installed here: there is nobody to tell
	}
	return d.WriteCurrent(doc.Observation.Mode, doc.At)
}

func (p *page) facts(doc observed, policy fsm.Policy) {
	f := doc.Facts
	p.observed("mode", doc.Observation)
	tell(p, "host", f.Host, hostLine)
	tell(p, "units", f.Units, func(u map[string]fsm.Unit) []string { return unitLines(u, policy) })
	tell(p, "sessions", f.Logins, sessionLines)
	tell(p, "stop sets", f.StopSets, stopSetLines)
	tell(p, "audio", f.Audio, audioLines)
	tell(p, "gpu", f.GPU, gpuLines)
	tell(p, "load", f.Load, func(l fsm.Load) []string {
		return []string{fmt.Sprintf("tasks waited for a CPU in %.1f %% of the last 10 s", l.CPUSome)}
	})
	tell(p, "memory", f.Memory, func(m fsm.Memory) []string { return []string{size(m.Available) + " available"} })
	tell(p, "jobs", f.Jobs, jobLines)
	tell(p, "inference", f.Inference, inferenceLines)
	tell(p, "placement", f.Placement, func(x fsm.Placement) []string { return []string{"studio: " + orDash(x.Studio)} })
	tell(p, "inhibitors", f.Inhibitors, inhibitorLines)
	tell(p, "site guards", f.Site, siteLines)
	tell(p, "budgets", f.Budgets, budgetLines)
	tell(p, "holds", f.Holds, func(list []fsm.Hold) []string { return holdLines(list, doc.At) })
	tell(p, "idle", f.Idle, idleLines)
}

// tell writes the lines of a reading, "none" for an empty one, and why it could
// not be made for one that failed.
func tell[T any](p *page, label string, r fsm.Reading[T], lines func(T) []string) {
	if !r.OK {
		p.row(label, p.warn("cannot tell")+": "+r.Why())
		return
	}
	out := lines(r.Value)
	if len(out) == 0 {
		out = []string{p.dim("none")}
	}
	for _, line := range out {
		p.row(label, line)
	}
}

func hostLine(h fsm.Host) []string {
	out := []string{"the service manager is " + h.Manager}
	if h.ShuttingDown {
		out = append(out, "the host is shutting down")
	}
	if h.Switching != "" {
		out = append(out, h.Switching+" is switching the configuration")
	}
	for _, j := range h.Pending {
		out = append(out, fmt.Sprintf("%s job of %s is %s", j.Type, j.Unit, j.State))
	}
	return out
}

// unitLines tells the watched units in the order of the policy.
func unitLines(units map[string]fsm.Unit, p fsm.Policy) []string {
	var out []string
	for _, name := range p.Units.Watched() {
		u, ok := units[name]
		if !ok || u.Load == "not-found" {
			continue
		}
		word := u.Active
		if u.Load != "loaded" {
			word = u.Load + ", " + word
		}
		if u.Memory > 0 {
			word += ", " + size(u.Memory)
		}
		out = append(out, name+": "+word)
	}
	return slices.Compact(out)
}

func sessionLines(l fsm.Logins) []string {
	var out []string
	for _, s := range l.Sessions {
		line := fmt.Sprintf("%s of %s, %s %s, %s", s.ID, s.User, s.Class, s.Type, s.State)
		if s.Service != "" {
			line += ", by " + s.Service
		}
		if s.Graphical {
			line += ", graphical: " + s.Why
		}
		out = append(out, line)
	}
	for _, u := range l.Users {
		if len(u.Audio) > 0 {
			out = append(out, "audio of "+u.Name+": "+strings.Join(u.Audio, ", "))
		}
	}
	return out
}

func stopSetLines(sets map[string]fsm.StopSet) []string {
	var out []string
	for target, set := range sets {
		var names []string
		for _, u := range set.Stops {
			names = append(names, u.Name)
		}
		out = append(out, fmt.Sprintf("isolating %s would stop %s", target, cmp.Or(strings.Join(names, ", "), "nothing")))
	}
	slices.Sort(out)
	return out
}

func audioLines(a fsm.Audio) []string {
	out := []string{}
	for _, u := range a.Users {
		out = append(out, fmt.Sprintf("%s (PID %d) of %s: %s", u.Comm, u.PID, userName(u.UID), u.How))
	}
	if len(out) == 0 && len(a.Looked) > 0 {
		out = append(out, "nobody uses it; looked at "+strings.Join(a.Looked, ", "))
	}
	return out
}

func gpuLines(g fsm.GPU) []string {
	out := []string{}
	for _, h := range g.Holders {
		line := h.String()
		if h.Infra {
			line += ", infrastructure"
		}
		out = append(out, line)
	}
	if len(out) == 0 && len(g.Present) > 0 {
		out = append(out, "nobody holds "+strings.Join(g.Present, ", "))
	}
	return out
}

func jobLines(jobs []fsm.UserJob) []string {
	var out []string
	for _, j := range jobs {
		line := fmt.Sprintf("%s (PID %d) of %s", j.What, j.PID, userName(j.UID))
		if j.Unit != "" {
			line += " in " + j.Unit
		}
		out = append(out, line)
	}
	return out
}

func inferenceLines(list []fsm.Inference) []string {
	var out []string
	for _, i := range list {
		line := i.Unit + ": not ready"
		if i.Ready {
			line = i.Unit + ": ready"
		}
		if i.Known {
			line += fmt.Sprintf(", %g running and %g waiting requests", i.Running, i.Waiting)
		} else if i.Cause != "" {
			line += ", " + i.Cause
		}
		out = append(out, line)
	}
	return out
}

func inhibitorLines(list []fsm.Inhibitor) []string {
	var out []string
	for _, i := range list {
		out = append(out, fmt.Sprintf("%s (PID %d) of %s inhibits %s: %s", i.Who, i.PID, userName(i.UID), i.What, i.Why))
	}
	return out
}

func budgetLines(list []fsm.Budget) []string {
	var out []string
	for _, b := range list {
		line := b.Slice + ": " + property(b)
		if b.Value == math.MaxUint64 && strings.HasSuffix(b.Property, "Weight") {
			line = b.Slice + ": " + b.Property + " not set"
		}
		out = append(out, line)
	}
	return out
}

// holdLines tells who keeps this host in its mode, why, and for how long.
func holdLines(list []fsm.Hold, now time.Time) []string {
	var out []string
	for _, h := range list {
		line := fmt.Sprintf("%s, since %s", h, clock(h.Since, now))
		if !h.Until.IsZero() {
			line += " until " + clock(h.Until, now)
		}
		out = append(out, line+", id "+h.ID)
	}
	return out
}

// idleLines tells for how long nobody has touched the machine, and who last did.
func idleLines(i fsm.Idle) []string {
	since := "since " + i.Why
	if i.Device != "" {
		since = "the last on " + i.Device
	}
	out := []string{fmt.Sprintf("no input for %s, %s; devices watched: %d", span(i.Quiet), since, i.Devices)}
	if len(i.Denied) > 0 {
		out = append(out, "does not count: "+strings.Join(i.Denied, ", "))
	}
	return out
}

func siteLines(list []fsm.SiteVerdict) []string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%s: %d, %s", s.Name, s.Code, s.Reason))
	}
	return out
}
