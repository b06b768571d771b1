// Package procs looks at the processes of the host: who holds the GPUs' and the
// sound cards' device nodes, who is known by name, who works for an AI unit, and in
// which unit or session each of them is. One pass over /proc serves all questions
// of one observation.
//
// Names match the executable's file name or the kernel's comm, which is cut at
// 15 bytes; a wrapper's ".reaper-wrapped" counts as reaper. A process that
// cannot be looked into makes the answer an error: cannot tell, never "nobody".
package procs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/modewatch/modewatch/fsm"
)

// Procs answers from the /proc tree at Root. Policy gives the names and
// patterns that apply at the time of the question.
type Procs struct {
	Root    string
	Cgroups string // the control groups, /sys/fs/cgroup
	Policy  func() fsm.Policy
}

// New returns the source for the /proc tree at root, and this host's control groups.
func New(root string, policy func() fsm.Policy) *Procs {
	return &Procs{Root: root, Cgroups: cgroups, Policy: policy}
}

// Subjects are the parts of Facts that Look fills.
const Subjects = fsm.AboutGPU | fsm.AboutAudio | fsm.AboutJobs | fsm.AboutWorkers

// Look answers everything that about asks for of Subjects from one pass.
func (p *Procs) Look(ctx context.Context, about fsm.Subject) fsm.Facts {
	var out fsm.Facts
	policy := p.Policy()
	if about == fsm.AboutWorkers {
		out.Workers = fsm.Read(p.members(policy)) // no pass is needed
		return out
	}
	t, err := scan(ctx, p.Root, want(about, policy))
	if err == nil {
		defer t.close()
	}
	if about&fsm.AboutGPU != 0 {
		out.GPU = read(err, func() (fsm.GPU, error) { return t.gpu(policy.GPU) })
	}
	if about&fsm.AboutAudio != 0 {
		out.Audio = read(err, func() (fsm.Audio, error) { return t.audio(policy.Audio) })
	}
	if about&fsm.AboutJobs != 0 {
		out.Jobs = read(err, func() ([]fsm.UserJob, error) { return t.jobs(policy.Jobs), nil })
	}
	if about&fsm.AboutWorkers != 0 {
		out.Workers = read(err, func() ([]fsm.Worker, error) { return p.workers(t, policy, about&fsm.AboutGPU != 0) })
	}
	return out
}

// want is what the questions need of the pass.
func want(about fsm.Subject, p fsm.Policy) wanted {
	w := wanted{names: about&(fsm.AboutAudio|fsm.AboutJobs) != 0}
	if about&fsm.AboutGPU != 0 {
		w.globs = append(w.globs, gpuNodes(p.GPU)...)
	}
	if about&fsm.AboutAudio != 0 {
		w.globs = append(w.globs, p.Audio.Nodes...)
	}
	return w
}

func read[T any](err error, answer func() (T, error)) fsm.Reading[T] {
	if err != nil {
		return fsm.Reading[T]{Cause: err.Error()}
	}
	return fsm.Read(answer())
}

// GPU tells which device nodes of the GPUs exist and who holds them (D16).
func (p *Procs) GPU(ctx context.Context) (fsm.GPU, error) {
	return value(p.Look(ctx, fsm.AboutGPU).GPU)
}

// Audio tells who uses audio as far as processes, device nodes and ALSA show.
func (p *Procs) Audio(ctx context.Context) (fsm.Audio, error) {
	return value(p.Look(ctx, fsm.AboutAudio).Audio)
}

// Jobs tells which processes of users' sessions a person would not want to
// lose. Services are the business of the stop sets (D10).
func (p *Procs) Jobs(ctx context.Context) ([]fsm.UserJob, error) {
	return value(p.Look(ctx, fsm.AboutJobs).Jobs)
}

func value[T any](r fsm.Reading[T]) (T, error) {
	if !r.OK {
		return r.Value, fmt.Errorf("%s", r.Why())
	}
	return r.Value, nil
}

// Caller describes a live process: its uid, unit and session.
func (p *Procs) Caller(pid int) (fsm.Caller, error) {
	t, err := open(p.Root)
	if err != nil {
		return fsm.NoCaller, err
	}
	defer t.close()
	uid, err := t.uid(pid)
	if err != nil {
		return fsm.NoCaller, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	at := t.place(pid)
	return fsm.Caller{UID: uid, PID: pid, Unit: at.unit, Session: at.session}, nil
}

// Started tells when a process was started, in clock ticks since the boot, which
// tells it from another with its number. The error of one that has ended, reaped or
// not, is fs.ErrNotExist.
func Started(pid int) (uint64, error) {
	t, err := open("/proc")
	if err != nil {
		return 0, err
	}
	defer t.close()
	data, err := t.read(strconv.Itoa(pid) + "/stat")
	if gone(err) {
		return 0, fs.ErrNotExist
	}
	if err != nil {
		return 0, err
	}
	st, err := parseStat(data)
	if err == nil && st.over() {
		err = fs.ErrNotExist
	}
	return st.started, err
}

// CallerSelf describes this process (D1); what cannot be read stays empty.
func CallerSelf() fsm.Caller {
	p := Procs{Root: "/proc"}
	c, err := p.Caller(os.Getpid())
	if err != nil {
		return fsm.Caller{UID: os.Getuid(), PID: os.Getpid()}
	}
	return c
}

func gpuNodes(p fsm.GPUPolicy) []string { return slices.Concat(p.Display, p.AI) }

func (t *table) gpu(p fsm.GPUPolicy) (fsm.GPU, error) {
	all, err := compile(gpuNodes(p))
	if err != nil {
		return fsm.GPU{}, err
	}
	display, err := compile(p.Display)
	if err != nil {
		return fsm.GPU{}, err
	}
	out := fsm.GPU{Present: existing(gpuNodes(p))}
	for _, pr := range t.procs {
		for _, node := range pr.nodes {
			if !all.match(node) {
				continue
			}
			h := t.holder(pr, p.Infra)
			h.Node, h.Display = node, display.match(node)
			out.Holders = append(out.Holders, h)
		}
	}
	keptForLogind(out.Holders)
	return out, nil
}

// keptForLogind counts PID 1 as infrastructure on the nodes that logind holds: the
// manager keeps a copy of each descriptor that logind took for a session, should
// logind be restarted, and drops it when the session ends (D16). What it keeps for
// anybody else is a holder like all others.
func keptForLogind(holders []fsm.GPUHolder) {
	for i := range holders {
		h := &holders[i]
		h.Infra = h.Infra || h.PID == 1 && slices.ContainsFunc(holders, func(o fsm.GPUHolder) bool {
			return o.Infra && o.Comm == "systemd-logind" && o.Node == h.Node
		})
	}
}

// existing lists the device nodes that match any of the patterns.
func existing(patterns []string) []string {
	var out []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // compile has checked the pattern
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Holders describes processes as GPU does, by their pids alone: another source
// has found them on a GPU. One that is not in /proc any more is a holder all the
// same, without name and owner.
func (p *Procs) Holders(pids []int) (map[int]fsm.GPUHolder, error) {
	t, err := open(p.Root)
	if err != nil {
		return nil, err
	}
	defer t.close()
	infra, out := p.Policy().GPU.Infra, make(map[int]fsm.GPUHolder, len(pids))
	for _, pid := range pids {
		pr := proc{pid: pid, comm: "a process that is not in /proc"}
		if data, err := t.read(strconv.Itoa(pid) + "/stat"); err == nil {
			st, err := parseStat(data)
			if err != nil {
				return nil, fmt.Errorf("cannot look into process %d: %w", pid, err)
			}
			pr.comm, pr.exe = st.comm, t.exe(strconv.Itoa(pid))
		} else if !gone(err) {
			return nil, fmt.Errorf("cannot look into process %d: %w", pid, err)
		}
		out[pid] = t.holder(pr, infra)
	}
	return out, nil
}

// holder describes a process that is on a GPU.
func (t *table) holder(pr proc, infra []string) fsm.GPUHolder {
	at := t.place(pr.pid)
	return fsm.GPUHolder{PID: pr.pid, UID: t.owner(pr.pid), Comm: pr.comm, Unit: at.unit, Session: at.session,
		Infra: pr.pid == os.Getpid() || pr.certainly(infra)}
}
