package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Do does an operation in memory, with the faults that were planned.
func (h *Host) Do(ctx context.Context, op fsm.Op) error {
	if err := h.spend(ctx, op.Verb); err != nil {
		return err
	}
	fault := h.fault(op)
	switch fault {
	case Fails:
		return fmt.Errorf("cannot %s: %w", op, errFault)
	case Hangs:
		<-ctx.Done()
		return fmt.Errorf("cannot %s: %w", op, ctx.Err())
	case LiesDone:
		return nil
	}
	h.mu.Lock()
	err := h.apply(op, fault)
	if err == nil {
		h.done = append(h.done, op)
	}
	h.mu.Unlock()
	h.Hint(fsm.Core)
	if fault == LiesFailed {
		return fmt.Errorf("cannot %s: %w", op, errFault)
	}
	return err
}

func (h *Host) spend(ctx context.Context, v fsm.Verb) error {
	h.mu.Lock()
	d := h.took[v]
	h.mu.Unlock()
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Host) fault(op fsm.Op) FaultKind {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, f := range h.faults {
		if f.Op.Verb == op.Verb && (f.Op.Arg == "" || f.Op.Arg == op.Arg) {
			switch {
			case f.Left > 1:
				h.faults[i].Left--
			case f.Left >= 0:
				h.faults = slices.Delete(h.faults, i, i+1)
			}
			return f.Kind
		}
	}
	return ""
}

func (h *Host) apply(op fsm.Op, fault FaultKind) error {
	p := h.policy.Units
	switch op.Verb {
	case fsm.Start, fsm.Run, fsm.Stop, fsm.Isolate, fsm.MaskNow, fsm.UnmaskNow:
		return h.unitOp(op)
	case fsm.EndSession:
		h.endSession(op.Arg, fault)
	case fsm.SetBudgets:
		h.facts.Budgets = fsm.Read(h.policy.InForce(fsm.Mode(op.Arg)), nil)
	case fsm.StopDesktop, fsm.StopAudio, fsm.StartAudio:
		for i := range h.logins.Users {
			u := &h.logins.Users[i]
			if strconv.Itoa(u.UID) != op.Arg {
				continue
			}
			switch op.Verb {
			case fsm.StopDesktop:
				u.Graphical = false
			case fsm.StopAudio:
				u.Audio = nil
			default:
				u.Audio = p.Audio
			}
		}
	}
	return nil
}

func (h *Host) unitOp(op fsm.Op) error {
	u, ok := h.units[op.Arg]
	if !ok {
		return missing(op.Arg)
	}
	switch op.Verb {
	case fsm.Start, fsm.Isolate:
		if u.Load == "masked" {
			return fmt.Errorf("cannot start %s: it is masked", op.Arg)
		}
		if op.Verb == fsm.Isolate && u.Is(true) {
			return fmt.Errorf("cannot isolate %s: it is active", op.Arg)
		}
		if op.Verb == fsm.Isolate {
			for _, s := range h.stopSet(op.Arg).Stops {
				h.set(s.Name, "inactive")
			}
		}
		h.set(op.Arg, "active")
		h.conflicts(op.Arg)
		h.serving(op.Arg, true)
	case fsm.Run:
		h.set(op.Arg, "inactive")
	case fsm.Stop:
		h.set(op.Arg, "inactive")
		h.serving(op.Arg, false)
	case fsm.MaskNow:
		u.Load, u.Active, u.Runtime = "masked", "inactive", true
		h.units[op.Arg] = u
	case fsm.UnmaskNow:
		u.Load, u.Active, u.Runtime = "loaded", "active", false
		h.units[op.Arg] = u
	}
	return nil
}

// conflicts stops the counterpart of a target that came up.
func (h *Host) conflicts(target string) {
	switch target {
	case h.policy.Units.Desktop:
		h.set(h.policy.Units.Compute, "inactive")
	case h.policy.Units.Compute:
		h.set(h.policy.Units.Desktop, "inactive")
		h.set(h.policy.Units.StudioPolicy, "inactive")
		h.set(h.policy.Units.AudioPriority, "inactive")
	}
}

// serving lets an AI unit that came up answer, or one that went be silent.
func (h *Host) serving(unit string, up bool) {
	if !slices.Contains(h.policy.Units.AIUnits(), unit) {
		return
	}
	list := slices.DeleteFunc(h.facts.Inference.Value, func(i fsm.Inference) bool { return i.Unit == unit })
	if up {
		list = append(slices.Clone(list), fsm.Inference{Unit: unit, Ready: true, Known: true})
	}
	h.facts.Inference.Value = list
}

func (h *Host) endSession(id string, fault FaultKind) {
	var user fsm.Session
	h.logins.Sessions = slices.DeleteFunc(h.logins.Sessions, func(s fsm.Session) bool {
		if s.ID == id {
			user = s
		}
		return s.ID == id
	})
	if fault != KeepsHolder {
		h.facts.GPU.Value.Holders = slices.DeleteFunc(slices.Clone(h.facts.GPU.Value.Holders), func(g fsm.GPUHolder) bool { return g.Session == id })
	}
	h.logins.Users = slices.DeleteFunc(h.logins.Users, func(u fsm.User) bool { return u.UID == user.UID && !u.Linger })
	if fault == ComesBack && user.User != "" {
		h.login(user.User, user.UID)
	}
}
