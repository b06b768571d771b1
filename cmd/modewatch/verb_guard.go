package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/spf13/pflag"
)

// protects names the mode whose entry a guard watches over, where nothing else
// is asked; all others watch over compute's (D14).
var protects = map[string]fsm.Mode{
	"check_studio_capability_local":   fsm.StudioLocal,
	"check_graphical_session_present": fsm.StudioLocal,
	"check_vllm_drainable":            fsm.Desktop,
}

// asItIs names the guards that, asked by themselves, judge the host as it is
// and not what a plan would have made of it (specification section 10.2).
var asItIs = []string{"check_gpu_display_released"}

func guardVerb(f *pflag.FlagSet) runner {
	to := f.String("to", "", "judge as for a transition to `MODE`")
	return func(e env, args []string) (int, error) {
		if len(args) == 0 {
			return listGuards(e)
		}
		return judgeOne(e, args[0], *to)
	}
}

// judgeOne judges one guard and exits with its code.
func judgeOne(e env, name, to string) (int, error) {
	mode, given := fsm.Compute, to != ""
	if m, ok := protects[name]; ok {
		mode = m
	}
	if given {
		m, err := parseMode(to)
		if err != nil {
			return 0, err
		}
		mode = m
	}
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	g, ok := guards.ByName(name)
	if !ok && !isSiteGuard(cfg, name) {
		return 0, unknownGuard(e, name)
	}
	host, done := e.host(cfg)
	defer done()
	var v fsm.Verdict
	if ok {
		v = judge(context.Background(), host, cfg.Policy, g, mode, !given && slices.Contains(asItIs, name))
	} else {
		v = judgeSite(context.Background(), host, name, mode)
	}
	return v.Code, e.printVerdict(v)
}

// plansFor are the subjects that mean little without a plan: a guard that asks
// for one of them cannot tell where no plan can be made.
const plansFor = fsm.Core | fsm.AboutStopSets | fsm.AboutMemory

// judge observes what one guard wants to know and no more.
func judge(ctx context.Context, host engine.Host, p fsm.Policy, g guards.Guard, to fsm.Mode, asIs bool) fsm.Verdict {
	ctx, cancel := context.WithTimeout(ctx, 2*p.Deadlines.Observe)
	defer cancel()
	f := host.Observe(ctx, fsm.Query{About: fsm.Core})
	o := fsm.Classify(f, p)
	plan := fsm.Plan{Kind: fsm.Transition, From: o.Mode, To: to}
	if !asIs && o.Mode != fsm.Unknown {
		plan, f = planned(ctx, host, p, o, to, f)
	}
	if !asIs && o.Mode == fsm.Unknown && g.About&plansFor != 0 {
		return fsm.Verdict{Guard: g.Name, Code: g.Code + 10, Hard: g.Hard(guards.Input{Policy: p}),
			Reason: "cannot tell the mode of this host: " + strings.Join(o.Evidence, "; ")}
	}
	set := []guards.Guard{g}
	q := guards.Query(set, plan)
	f = f.Merge(host.Observe(ctx, q), q.About)
	w := fsm.Wish{Mode: to, Reason: fsm.ByRequest, By: fsm.NoCaller}
	return guards.Judge(set, guards.Input{Facts: f, Policy: p, Plan: plan, Wish: w, Observation: o})[0]
}

// planned makes the plan as an attempt would, with the isolate's stop set.
func planned(ctx context.Context, host engine.Host, p fsm.Policy, o fsm.Observation, to fsm.Mode, f fsm.Facts) (fsm.Plan, fsm.Facts) {
	plan, err := fsm.PlanFor(o, to, f, p)
	if err != nil || plan.Isolates() == "" {
		return plan, f
	}
	q := fsm.Query{About: fsm.AboutStopSets, Targets: []string{plan.Isolates()}}
	f = f.Merge(host.Observe(ctx, q), q.About)
	plan, _ = fsm.PlanFor(o, to, f, p) // the mode is the same, and known
	return plan, f
}

// judgeSite runs the site's guards and answers with the verdict of one.
func judgeSite(ctx context.Context, host engine.Host, name string, to fsm.Mode) fsm.Verdict {
	f := host.Observe(ctx, fsm.Query{About: fsm.AboutSite, Wish: to})
	for _, v := range guards.Judge(siteGuards(), guards.Input{Facts: f}) {
		if v.Guard == name || !f.Site.OK {
			v.Guard = name
			return v
		}
	}
	return fsm.Verdict{Guard: name, Code: 20, Hard: true, Reason: "the guard was not run"}
}

// siteGuards is the set of the site's guards alone, taken from a plan's.
func siteGuards() []guards.Guard {
	return slices.DeleteFunc(guards.ForPlan(fsm.Plan{}, fsm.Wish{}, fsm.Policy{}), func(g guards.Guard) bool { return g.About != fsm.AboutSite })
}

// printVerdict prints the line of section 24.3; a person at a terminal gets it
// in words.
func (e env) printVerdict(v fsm.Verdict) error {
	if e.quiet {
		return nil
	}
	if !e.asJSON && width(e.stdout) > 0 {
		p := e.page(0)
		p.verdictLines(v)
		return e.show(p)
	}
	line, err := json.Marshal(struct {
		Schema int `json:"schema"`
		fsm.Verdict
	}{fsm.Schema, v})
	if err != nil {
		return fmt.Errorf("cannot print the verdict: %w", err)
	}
	e.say("%s", line)
	return nil
}

func (p *page) verdictLines(v fsm.Verdict) {
	p.hang(p.paintVerdict(v)+"  ", guardCode(v)+": "+v.Reason)
	if v.Detail != "" {
		p.hang(pad("", len(kindOf(v))+2), p.dim(v.Detail))
	}
	if v.Code != 0 {
		p.hang(pad("", len(kindOf(v))+2), p.dim("→ "+advice(v)))
	}
}

func unknownGuard(e env, name string) error {
	var all []string
	for _, g := range guards.All {
		all = append(all, g.Name)
	}
	hint := "`modewatch guard` lists the guards"
	if n := nearest(name, all); n != "" {
		hint = fmt.Sprintf("did you mean %q? %s", n, hint)
	}
	return misuse(hint, "there is no guard %q", name)
}

// listed is one guard in the JSON document of guard without a name.
type listed struct {
	Name string `json:"guard"`
	Code int    `json:"code"`
	Hard bool   `json:"hard"`
	For  string `json:"judged_for"`
}

func listGuards(e env) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	list := guardList(cfg)
	if e.asJSON {
		return 0, e.printJSON(struct {
			Schema int      `json:"schema"`
			Guards []listed `json:"guards"`
		}{fsm.Schema, list})
	}
	p := e.page(0)
	p.guardList(list)
	return 0, e.show(p)
}

func guardList(cfg config.Config) []listed {
	var out []listed
	for _, g := range guards.All {
		out = append(out, listed{g.Name, g.Code, g.Hard(guards.Input{Policy: cfg.Policy}), judgedFor(g, cfg.Policy)})
	}
	for _, name := range siteGuardNames(cfg) {
		out = append(out, listed{name, 10, true, "all, by " + cfg.GuardsDir})
	}
	return out
}

// judgedFor names the transitions before which a guard is judged: "→ compute"
// is all that lead there, "compute →" all that leave it.
func judgedFor(g guards.Guard, p fsm.Policy) string {
	judged := map[[2]fsm.Mode]bool{}
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			judged[[2]fsm.Mode{from, to}] = from != to && slices.ContainsFunc(entryGuards(from, to, p), func(x guards.Guard) bool { return x.Name == g.Name })
		}
	}
	var parts []string
	told := map[[2]fsm.Mode]bool{}
	group := func(text string, pairs ...[2]fsm.Mode) {
		fresh := false
		for _, pair := range pairs {
			if !judged[pair] {
				return
			}
			fresh = fresh || !told[pair]
		}
		if !fresh {
			return
		}
		for _, pair := range pairs {
			told[pair] = true
		}
		parts = append(parts, text)
	}
	for i, m := range fsm.Modes {
		a, b := fsm.Modes[(i+1)%3], fsm.Modes[(i+2)%3]
		group("→ "+string(m), [2]fsm.Mode{a, m}, [2]fsm.Mode{b, m})
		group(string(m)+" →", [2]fsm.Mode{m, a}, [2]fsm.Mode{m, b})
	}
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			group(fmt.Sprintf("%s → %s", from, to), [2]fsm.Mode{from, to})
		}
	}
	switch {
	case g.About&fsm.AboutIdle != 0:
		return "→ compute, because nobody is there"
	case len(parts) == 0:
		return "right before the host becomes headless"
	case len(told) == len(fsm.Modes)*(len(fsm.Modes)-1):
		return "all"
	}
	return strings.Join(parts, ", ")
}

func (p *page) guardList(list []listed) {
	rows := [][]string{{p.dim("guard"), p.dim("blocks"), p.dim("unclear"), p.dim("kind"), p.dim("judged for")}}
	for _, g := range list {
		rows = append(rows, []string{g.Name, strconv.Itoa(g.Code), strconv.Itoa(g.Code + 10), hardness(fsm.Verdict{Hard: g.Hard}), g.For})
	}
	p.table(rows)
}
