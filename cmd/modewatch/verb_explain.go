package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
)

// explained is what explain tells of a mode (specification section 20.1), and
// its JSON document.
type explained struct {
	Schema    int                        `json:"schema"`
	Mode      fsm.Mode                   `json:"mode"`
	Intent    string                     `json:"intent"`
	Target    string                     `json:"target"`
	Overlay   []string                   `json:"overlay"`
	Services  []string                   `json:"services"`
	HeldBack  []string                   `json:"held_back"`
	Budgets   []budgets                  `json:"budgets"`
	GPUs      gpus                       `json:"gpus"`
	Owns      []owned                    `json:"ownership"`
	Guards    map[fsm.Mode][]string      `json:"guards"` // by the mode that is left
	Again     []string                   `json:"guards_again"`
	Placement fsm.Reading[fsm.Placement] `json:"placement"`
	StopSet   fsm.Reading[fsm.StopSet]   `json:"stop_set"`
}

// gpus is the topology as configured (section 5): patterns of device nodes.
type gpus struct {
	Planned int      `json:"planned"`
	Display []string `json:"display"`
	AI      []string `json:"ai"`
}

// owned is one row of section 5: a resource and who has it.
type owned struct {
	What string `json:"what"`
	Who  string `json:"who"`
}

// intents and ownership are sections 4.1 and 5 in short.
var intents = map[fsm.Mode]string{
	fsm.Desktop:     "interactive work at the desk, with bounded AI",
	fsm.StudioLocal: "low-latency audio, as an overlay on desktop that protects it",
	fsm.Compute:     "headless; AI serving and platform duties have the whole host",
}

var ownership = map[fsm.Mode][]owned{
	fsm.Desktop: {
		{"display GPU", "the desktop"}, {"other GPUs", "AI, where a unit is configured"},
		{"CPU", "interactive work first"}, {"memory", "AI is bounded"},
		{"storage", "background work is bounded"}, {"audio", "protected"},
	},
	fsm.StudioLocal: {
		{"display GPU", "the desktop, protected"}, {"other GPUs", "no AI, unless a unit is configured"},
		{"CPU", "audio and interactive work first"}, {"memory", "AI is bounded tightly"},
		{"storage", "no heavy background work"}, {"audio", "exclusive"},
	},
	fsm.Compute: {
		{"display GPU", "AI"}, {"other GPUs", "AI"}, {"CPU", "AI and platform may fill it"},
		{"memory", "used to the full"}, {"storage", "used to the full"}, {"audio", "not guaranteed"},
	},
}

func runExplain(e env, args []string) (int, error) {
	m, err := parseMode(args[0])
	if err != nil {
		return 0, err
	}
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	x := explain(m, cfg.Policy)
	host, done := e.host(cfg)
	defer done()
	x.live(cfg, host)
	if e.asJSON {
		return 0, e.printJSON(x)
	}
	p := e.page(13)
	p.explained(x)
	return 0, e.show(p)
}

// explain tells what the configuration says of a mode.
func explain(m fsm.Mode, p fsm.Policy) explained {
	x := explained{Schema: fsm.Schema, Mode: m, Intent: intents[m], Target: p.Units.Target(m), Overlay: []string{},
		Services: list(p.Units.AI[m]), HeldBack: []string{}, Budgets: budgetsOf(p.Budgets[m]),
		GPUs: gpus{p.GPU.Planned, p.GPU.Display, p.GPU.AI}, Owns: ownership[m], Guards: map[fsm.Mode][]string{}, Again: again(m, p)}
	switch m {
	case fsm.StudioLocal:
		x.Overlay = []string{p.Units.StudioPolicy, p.Units.AudioPriority}
	case fsm.Compute:
		x.HeldBack = append(x.HeldBack, p.Units.Starters...)
	}
	for _, from := range fsm.Modes {
		if from != m {
			x.Guards[from] = guardNames(entryGuards(from, m, p))
		}
	}
	return x
}

// live adds what has to be looked up on the host: the stop set and where the
// capabilities are placed.
func (x *explained) live(cfg config.Config, host engine.Host) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Policy.Deadlines.Observe)
	defer cancel()
	f := host.Observe(ctx, fsm.Query{About: fsm.AboutStopSets | fsm.AboutPlacement, Targets: []string{x.Target}})
	x.Placement = f.Placement
	x.StopSet = fsm.Reading[fsm.StopSet]{OK: f.StopSets.OK, Cause: f.StopSets.Cause, Value: f.StopSets.Value[x.Target]}
	x.StopSet.Value.Stops = list(x.StopSet.Value.Stops)
}

// entryGuards returns the guards of a transition, with those that stopping the
// AI units of the mode that is left brings in.
func entryGuards(from, to fsm.Mode, p fsm.Policy) []guards.Guard {
	plan := fsm.Plan{Kind: fsm.Transition, From: from, To: to}
	for _, unit := range p.Units.AI[from] {
		if !slices.Contains(p.Units.AI[to], unit) {
			plan.Steps = append(plan.Steps, fsm.Step{Op: fsm.Op{Verb: fsm.Stop, Arg: unit}})
		}
	}
	return guards.ForPlan(plan, fsm.Wish{Mode: to, Reason: fsm.ByRequest}, p)
}

// again names the guards that are judged once more right before the isolate.
func again(m fsm.Mode, p fsm.Policy) []string {
	if m != fsm.Compute {
		return []string{}
	}
	s := fsm.Step{Op: fsm.Op{Verb: fsm.Isolate, Arg: p.Units.Compute}, Yields: true}
	plan := fsm.Plan{Kind: fsm.Transition, From: fsm.Desktop, To: m, Steps: []fsm.Step{s}}
	return guardNames(guards.Before(s, plan, fsm.Wish{Mode: m, Reason: fsm.ByRequest}, p))
}

func guardNames(set []guards.Guard) []string {
	out := []string{}
	for _, g := range set {
		out = append(out, g.Name)
	}
	return out
}

func (p *page) explained(x explained) {
	p.row("mode", p.strong(string(x.Mode))+" - "+x.Intent)
	p.row("target", x.Target)
	p.list("overlay", x.Overlay, "")
	p.list("AI units", x.Services, "none")
	if len(x.HeldBack) > 0 {
		p.row("held back", strings.Join(x.HeldBack, ", ")+" (stopped and masked, so that no session starts)")
	}
	for _, b := range x.Budgets {
		p.row("budgets", b.Slice+" "+strings.Join(b.Properties, " "))
	}
	p.row("GPUs", fmt.Sprintf("%d planned; display %s; AI %s", x.GPUs.Planned, strings.Join(x.GPUs.Display, " "), strings.Join(x.GPUs.AI, " ")))
	for _, o := range x.Owns {
		p.row("ownership", o.What+pad(o.What, 13)+o.Who)
	}
	p.placement(x.Placement)
	p.entering(x)
	if len(x.Again) > 0 {
		p.row("", "again right before the isolate: "+strings.Join(x.Again, ", "))
	}
	p.explainedStops(x)
	p.row("see also", fmt.Sprintf("`modewatch dry-run %s` for the steps from here, `modewatch why %s` for what is in the way", x.Mode, x.Mode))
}

// entering lists the guards by the mode that is left, in one row where they are
// the same.
func (p *page) entering(x explained) {
	var froms []string
	sets := map[string]string{}
	for _, from := range fsm.Modes {
		if from != x.Mode {
			froms = append(froms, string(from))
			sets[string(from)] = strings.Join(x.Guards[from], ", ")
		}
	}
	if sets[froms[0]] == sets[froms[1]] {
		p.row("guards", sets[froms[0]])
		return
	}
	for _, from := range froms {
		p.row("guards", "from "+from+": "+sets[from])
	}
}

func (p *page) list(label string, items []string, none string) {
	if len(items) == 0 && none == "" {
		return
	}
	p.row(label, cmp.Or(strings.Join(items, ", "), none))
}

func (p *page) placement(r fsm.Reading[fsm.Placement]) {
	if !r.OK {
		p.row("placement", p.warn("cannot tell")+": "+r.Why())
		return
	}
	p.row("placement", "studio: "+cmp.Or(r.Value.Studio, "not named"))
}

func (p *page) explainedStops(x explained) {
	label := "would stop"
	switch {
	case x.Mode == fsm.StudioLocal:
		return // an overlay: entering it from desktop isolates nothing
	case !x.StopSet.OK:
		p.row(label, p.warn("cannot tell")+": "+x.StopSet.Why())
	case len(x.StopSet.Value.Stops) == 0:
		p.row(label, "nothing, if it were isolated now")
	}
	for _, u := range x.StopSet.Value.Stops {
		p.row(label, fmt.Sprintf("%s, %s", u.Name, p.origin(u.Origin)))
	}
}

// budgets are the properties of one slice, as a unit file would write them.
type budgets struct {
	Slice      string   `json:"slice"`
	Properties []string `json:"properties"`
}

func budgetsOf(list []fsm.Budget) []budgets {
	out := []budgets{}
	for _, b := range list {
		if len(out) == 0 || out[len(out)-1].Slice != b.Slice {
			out = append(out, budgets{Slice: b.Slice})
		}
		last := &out[len(out)-1]
		last.Properties = append(last.Properties, property(b))
	}
	return out
}

func property(b fsm.Budget) string {
	if b.Value == math.MaxUint64 {
		return b.Property + "=infinity"
	}
	return fmt.Sprintf("%s=%d", b.Property, b.Value)
}
