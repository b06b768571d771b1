package procs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// members lists the processes in the control groups of the AI units. The kernel
// says who is there, so that a unit that systemd takes for stopped counts as well.
func (p *Procs) members(policy fsm.Policy) ([]fsm.Worker, error) {
	t, err := open(p.Root)
	if err != nil {
		return nil, err
	}
	defer t.close()
	out, _, err := p.kin(t, policy)
	return out, err
}

// kin is members, and the unit of each session of processes that one of them is
// in: a child that lost its parent, and left its control group, keeps that.
func (p *Procs) kin(t *table, policy fsm.Policy) ([]fsm.Worker, map[int]fsm.Worker, error) {
	units := policy.Units.AIUnits()
	if len(units) == 0 {
		return nil, nil, nil
	}
	dirs, err := groups(p.Cgroups, units)
	if err != nil {
		return nil, nil, err
	}
	var out []fsm.Worker
	sids := map[int]fsm.Worker{}
	for _, unit := range units {
		dir, ok := dirs[unit]
		if !ok {
			continue
		}
		pids, err := inside(dir)
		if err != nil {
			return nil, nil, err
		}
		for _, pid := range pids {
			p, err := t.process(pid, strconv.Itoa(pid), nil, false)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot look at process %d of %s: %w", pid, unit, err)
			}
			if p.pid == 0 && pid != 0 {
				continue // it ended, or waits to be reaped
			}
			w := fsm.Worker{PID: pid, UID: t.owner(pid), Comm: p.comm, Unit: unit, Stuck: p.stuck}
			out = append(out, w)
			if p.sid > 0 {
				sids[p.sid] = w
			}
		}
	}
	return out, sids, nil
}

// workers is members and, if the pass looked for who holds GPUs, the processes
// outside of the units' control groups that hold one of AI and came from there: by
// an ancestor, by the session of processes that they share with a member, or by
// the slice that they are in. One whose whole unit is gone, and that moved to a
// control group of its own, is not told from anybody else.
func (p *Procs) workers(t *table, policy fsm.Policy, gpu bool) ([]fsm.Worker, error) {
	out, sids, err := p.kin(t, policy)
	if err != nil || !gpu || len(policy.Units.AIUnits()) == 0 {
		return out, err
	}
	ai, err := compile(policy.GPU.AI)
	if err != nil {
		return nil, err
	}
	member := map[int]fsm.Worker{}
	for _, w := range out {
		member[w.PID] = w
	}
	parents := map[int]int{}
	for _, pr := range t.procs {
		parents[pr.pid] = pr.ppid
	}
	for _, pr := range t.procs {
		i := slices.IndexFunc(pr.nodes, ai.match)
		if _, in := member[pr.pid]; in || i < 0 || pr.certainly(policy.GPU.Infra) {
			continue
		}
		unit, why := t.descent(pr, parents, member, sids)
		if why == "" || slices.Contains(policy.Units.AIUnits(), t.place(pr.pid).unit) {
			continue // a stranger, or a member since a moment ago
		}
		out = append(out, fsm.Worker{PID: pr.pid, UID: t.owner(pr.pid), Comm: pr.comm, Unit: unit, Outside: why, Node: pr.nodes[i], Stuck: pr.stuck})
	}
	return out, nil
}

// descent tells which AI unit a process comes from, and by what; "" for none.
func (t *table) descent(pr proc, parents map[int]int, member, sids map[int]fsm.Worker) (unit, why string) {
	for pid, steps := pr.ppid, 0; pid > 1 && steps < len(parents); pid, steps = parents[pid], steps+1 {
		if w, ok := member[pid]; ok {
			return w.Unit, fmt.Sprintf("a child of PID %d in %s", pid, w.Unit)
		}
	}
	if w, ok := sids[pr.sid]; ok && pr.sid > 0 {
		return w.Unit, fmt.Sprintf("of one session with PID %d in %s", w.PID, w.Unit)
	}
	data, err := t.read(strconv.Itoa(pr.pid) + "/cgroup")
	if err == nil && strings.Contains(string(data), "/"+fsm.AISlice+"/") {
		return "", "in " + fsm.AISlice + ", in none of the AI units"
	}
	return "", ""
}
