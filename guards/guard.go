// Package guards judges whether a plan, or the next step of one, is safe
// (specification sections 10 and 24, D14). A guard is a pure function of what
// was observed and what is configured: it looks at nothing itself and acts on
// nothing. It has three verdicts: pass, block, and cannot tell, which blocks.
package guards

import (
	"fmt"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// Input is all that a guard may look at.
type Input struct {
	Facts       fsm.Facts
	Policy      fsm.Policy
	Plan        fsm.Plan
	Wish        fsm.Wish
	Observation fsm.Observation
	// Before is the step that is about to be done; nil when the whole plan is
	// judged, before its first step (D6, D8).
	Before *fsm.Step
}

// Guard is one check. Code is what it blocks with (specification section
// 24.2); cannot tell is Code + 10.
type Guard struct {
	Name string
	Code int
	// Hard tells whether no force may bypass it (section 24.4). It reads no
	// more of its input than the policy.
	Hard func(Input) bool
	// About is what it must be told of the host.
	About fsm.Subject
	// Check judges. It never passes on what could not be read.
	Check func(Input) fsm.Verdict
}

// answer is what a check finds, before it is given the guard's name and code.
type answer struct {
	kind   int
	reason string
	detail string
}

const (
	passes = iota
	blocks
	unclear
)

func pass(reason, detail string) answer  { return answer{passes, reason, detail} }
func block(reason, detail string) answer { return answer{blocks, reason, detail} }

// cannotTell says what could not be looked at, and why not.
func cannotTell(what, why string) answer {
	return answer{unclear, "cannot read " + what + ": " + why, ""}
}

func hard(Input) bool { return true }
func soft(Input) bool { return false }

// guard makes a Guard of a function that finds an answer.
func guard(name string, code int, hard func(Input) bool, about fsm.Subject, find func(Input) answer) Guard {
	check := func(in Input) fsm.Verdict {
		a := find(in)
		v := fsm.Verdict{Guard: name, Reason: a.reason, Detail: a.detail, Hard: hard(in)}
		switch a.kind {
		case passes:
			v.OK = true
		case blocks:
			v.Code = code
		default:
			v.Code = code + 10
		}
		return v
	}
	return Guard{Name: name, Code: code, Hard: hard, About: about, Check: check}
}

// others tells what else was found beside the one that the reason names.
func others(found []string) string {
	if len(found) < 2 {
		return ""
	}
	return fmt.Sprintf("%d in all: %s", len(found), strings.Join(found, "; "))
}

// process names a process so that a person can act on it.
func process(comm string, pid, uid int, in ...string) string {
	s := fmt.Sprintf("%s (PID %d, uid %d", comm, pid, uid)
	for _, where := range in {
		if where != "" {
			s += ", " + where
		}
	}
	return s + ")"
}
