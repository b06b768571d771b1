package sim

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Do does an operation in memory, with the faults that were planned.
func (h *Host) Do(ctx context.Context, op fsm.Op) error {
	f := h.fault(op)
	if err := h.spend(ctx, op.Verb, f); err != nil {
		return err
	}
	switch f.Kind {
	case Fails:
		return fmt.Errorf("cannot %s: %w", op, errFault)
	case Hangs:
		<-ctx.Done()
		return fmt.Errorf("cannot %s: %w", op, ctx.Err())
	case LiesDone:
		return nil
	case Late:
		h.later(op, f.For)
		return nil
	}
	err := h.effect(op, f.Kind)
	switch f.Kind {
	case LiesFailed, HalfDone:
		return fmt.Errorf("cannot %s: %w", op, errFault)
	case DoneHangs:
		<-ctx.Done()
		return fmt.Errorf("cannot %s: %w", op, ctx.Err())
	}
	return err
}

// effect is what an operation does to the host, however it is answered.
func (h *Host) effect(op fsm.Op, kind FaultKind) error {
	h.mu.Lock()
	h.jobs[job(op)]++ // it takes the place of one that is still to come
	err := h.apply(op, kind)
	if err == nil {
		h.done = append(h.done, op)
	}
	h.mu.Unlock()
	h.Hint(fsm.Core)
	return err
}

// later has the manager take its time over a job, unless another for the same unit
// comes before.
func (h *Host) later(op fsm.Op, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs[job(op)]++
	mine := h.jobs[job(op)]
	h.after(d, func() {
		if h.jobs[job(op)] == mine && h.apply(op, "") == nil {
			h.done = append(h.done, op)
		}
	})
}

// job names what an operation is done to: there is one isolate at a time.
func job(op fsm.Op) string {
	if op.Verb == fsm.Isolate {
		return "isolate"
	}
	return op.Arg
}

// after has the host change by itself in a while; a reboot forgets it.
func (h *Host) after(d time.Duration, change func()) {
	boot := h.boots
	time.AfterFunc(d, func() {
		h.mu.Lock()
		if h.boots == boot {
			change()
		}
		h.mu.Unlock()
		h.Hint(fsm.Everything)
	})
}

func (h *Host) spend(ctx context.Context, v fsm.Verb, f Fault) error {
	h.mu.Lock()
	d := h.took[v]
	h.mu.Unlock()
	if f.Kind == Slow {
		d += f.For
	}
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

func (h *Host) apply(op fsm.Op, kind FaultKind) error {
	switch op.Verb {
	case fsm.Start, fsm.Run, fsm.Stop, fsm.Isolate, fsm.MaskNow, fsm.UnmaskNow:
		return h.unitOp(op, kind)
	case fsm.EndSession:
		h.endSession(op.Arg, kind)
	case fsm.SetBudgets:
		h.budgets(fsm.Mode(op.Arg), kind)
	case fsm.StopDesktop, fsm.StopAudio, fsm.StartAudio:
		for i := range h.logins.Users {
			if u := &h.logins.Users[i]; strconv.Itoa(u.UID) == op.Arg {
				h.userOp(u, op.Verb, kind)
			}
		}
	}
	return nil
}

func (h *Host) userOp(u *fsm.User, v fsm.Verb, kind FaultKind) {
	switch {
	case v == fsm.StopDesktop:
		u.Graphical = kind == HalfDone
	case v == fsm.StopAudio && kind == HalfDone:
		u.Audio = []string{"pipewire.service"} // its socket alone is down
	case v == fsm.StopAudio:
		u.Audio = nil
	case kind != HalfDone:
		u.Audio = h.policy.Units.Audio
	}
}

func (h *Host) budgets(m fsm.Mode, kind FaultKind) {
	set := h.policy.InForce(m)
	if kind == HalfDone && len(set) > 0 {
		set = append(append([]fsm.Budget{}, set[:len(set)/2]...), h.facts.Budgets.Value[min(len(set)/2, len(h.facts.Budgets.Value)):]...)
	}
	h.facts.Budgets = fsm.Read(set, nil)
}
