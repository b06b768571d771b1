package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Describe says in a few lines what a configuration makes the controller do.
func Describe(c Config) string {
	p := c.Policy
	rows := [][2]string{
		{"desktop", p.Units.Desktop + ai(p, fsm.Desktop)},
		{"studio-local", fmt.Sprintf("%s and %s over %s%s", p.Units.StudioPolicy, p.Units.AudioPriority, p.Units.Desktop, ai(p, fsm.StudioLocal))},
		{"compute", p.Units.Compute + ai(p, fsm.Compute)},
		{"held back in compute", list(p.Units.Starters)},
		{"stopped with a session", fmt.Sprintf("%s, and its audio: %s", p.Units.Graphical, list(p.Units.Audio))},
		{"graphical sessions", "those that logind says, and of " + list(p.Sessions.Compositors)},
		{"never stopped", list(append(append([]string{}, p.Units.Own...), p.Units.Protected...))},
		{"hooks", hooks(p.Units.Prepare)},
		{"no transition during", list(p.Units.Switch)},
		{"first start of a boot", choice(c.Normalise, "starts "+p.Units.Desktop, "changes nothing")},
		{"wishes by file", choice(p.Gate.DesiredFile, "followed", "told, not followed")},
		{"background triggers", choice(p.Gate.Background, "on", "off: what they would do is told")},
		{"each of them", background(p.Idle)},
		{"idle", idleLine(p.Idle)},
		{"studio-local → compute", p.StudioToCompute},
		{"force", choice(p.Force, "bypasses soft guards", "refused")},
		{"GPUs planned", fmt.Sprint(p.GPU.Planned)},
		{"display GPU", list(p.GPU.Display)},
		{"GPUs of AI units", list(p.GPU.AI)},
		{"may hold any GPU", list(p.GPU.Infra)},
		{"NVIDIA GPUs", nvidia(c.NVML)},
		{"audio in use", fmt.Sprintf("%s; open %s, but by %s", list(p.Audio.Processes), list(p.Audio.Nodes), list(p.Audio.Ignore))},
		{"PipeWire", graphs(p.Audio)},
		{"CPU pressure", fmt.Sprintf("at most %g %%", p.Load.CPUSome)},
		{"jobs of people", list(p.Jobs.Processes)},
		{"jobs are judged", choice(p.Jobs.Studio, "on the way to compute and to studio-local", "on the way to compute") + "; never count: " + list(p.Jobs.Allow)},
		{"memory for compute", memory(p.Memory)},
		{"AI units that are busy", busy(p)},
		{"an attempt", "takes at most " + short(p.Overall)},
		{"its steps", steps(p.Deadlines)},
		{"site guards", fmt.Sprintf("%s, %s each", c.GuardsDir, short(c.GuardTimeout))},
		{"placement", c.PlacementFile},
		{"files", fmt.Sprintf("%s, %s (the last %d attempts)", c.RunDir, c.LibDir, c.History.Max)},
		{"log level", c.LogLevel},
	}
	for _, m := range fsm.Modes {
		rows = append(rows, [2]string{"budgets in " + string(m), budgetLine(p.Budgets[m])})
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%-24s %s\n", r[0], r[1])
	}
	return b.String()
}

func ai(p fsm.Policy, m fsm.Mode) string {
	var out []string
	for _, unit := range p.Units.AI[m] {
		out = append(out, fmt.Sprintf("%s at %s", unit, p.Inference.URL[unit]))
	}
	switch {
	case len(out) == 0:
		return ", no AI unit"
	case m == fsm.Compute && p.Inference.Ready:
		return ", " + strings.Join(out, ", ") + ", ready within " + short(p.Deadlines.Ready)
	}
	return ", " + strings.Join(out, ", ")
}

func hooks(prepare map[fsm.Mode]string) string {
	var out []string
	for _, m := range fsm.Modes {
		if name := prepare[m]; name != "" {
			out = append(out, name)
		}
	}
	return list(out)
}

func background(i fsm.IdlePolicy) string {
	return fmt.Sprintf("return to the desk %s, drift %s, retry %s",
		choice(i.Return, "on", "off"), choice(i.Heal, "on", "off"), choice(i.Retry, "on", "off"))
}

func idleLine(i fsm.IdlePolicy) string {
	after := choice(i.After == 0, "never", fmt.Sprintf("after %s, then %s of warning", short(i.After), short(i.Countdown)))
	return fmt.Sprintf("%s; a GPU may be busy by %d %%; refused: %s; devices that do not count: %s; %s%s", after, i.MaxGPU, i.OnBlock, list(i.Deny),
		choice(i.Watch, "devices are always watched", "devices are watched where a trigger needs it"), choice(i.Studio, "; from studio-local too", ""))
}

func graphs(a fsm.AudioPolicy) string {
	return fmt.Sprintf("%s read by %s; never counts %s, always %s; %s of latency or less counts; quiet for %s",
		list(a.Servers), choice(a.Program == "", "nothing", a.Program), list(a.Allow), list(a.Deny), short(a.LowLatency), short(a.Debounce))
}

func steps(d fsm.Deadlines) string {
	return fmt.Sprintf("start %s, stop %s, isolate %s, end of a session %s and %s, GPU %s, audio %s, hooks %s, budgets %s, a look %s",
		short(d.Start), short(d.Stop), short(d.Isolate), short(d.SessionTerm), short(d.SessionKill), short(d.GPURelease), short(d.Audio),
		short(d.Prepare), short(d.Budgets), short(d.Observe))
}

func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

func choice(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func nvidia(n NVML) string {
	if n.Off {
		return "seen by their open device nodes alone"
	}
	return fmt.Sprintf("seen by NVML too, %s to answer", short(n.Timeout)) + choice(n.Library == "", "", ", from "+n.Library)
}

func memory(p fsm.MemoryPolicy) string {
	need := size(p.Need(fsm.Compute))
	if p.Model == 0 {
		return fmt.Sprintf("%s, a soft guard (no model size is set)", need)
	}
	return fmt.Sprintf("%.1f GiB, a hard guard (a model of %s)", float64(need)/(1<<30), size(p.Model))
}

func busy(p fsm.Policy) string {
	then := "stopped then, for a person's wish"
	if p.Inference.OnTimeout == fsm.DrainBlock {
		then = "not stopped"
	}
	return fmt.Sprintf("have %s to end, and are %s", short(p.Deadlines.Drain), then)
}

func budgetLine(budgets []fsm.Budget) string {
	var out []string
	for _, b := range budgets {
		value := fmt.Sprint(b.Value)
		if strings.HasPrefix(b.Property, "Memory") {
			value = size(b.Value).String()
		}
		out = append(out, fmt.Sprintf("%s %s=%s", strings.TrimSuffix(b.Slice, ".slice"), b.Property, value))
	}
	if len(out) == 0 {
		return "left as they are"
	}
	return strings.Join(out, ", ")
}

// short writes 10m0s as 10m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
