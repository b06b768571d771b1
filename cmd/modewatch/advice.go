package main

import (
	"fmt"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// advice says what a person can do about a guard that refuses, in the words
// that follow "do:".
func advice(v fsm.Verdict) string {
	if v.Code >= 20 {
		return "make it readable, then ask again; what cannot be told never passes"
	}
	if text, ok := advices[v.Guard]; ok {
		return text
	}
	return "this guard is the site's own; see its reason"
}

var advices = map[string]string{
	"check_audio_idle":                "end that program, or wait until it is done",
	"check_gpu_display_released":      "end that process, then ask again",
	"check_cpu_load_safe":             "wait until the load is gone, or raise the threshold in the configuration",
	"check_user_jobs_safe":            "let it finish, end it, or list it in the configuration as one that never counts",
	"check_holds":                     "wait until the hold ends, or end it: modewatch hold --release ID; modewatch status lists them",
	"check_memory_headroom":           "end what uses the memory, or lower what the configuration asks for",
	"check_vllm_drainable":            "let its requests end, or stop the unit",
	"check_graphical_session_present": "begin a session at the desk, then ask again",
	"check_graphical_session_absent":  "log out of that session",
	"check_target_reachable":          "repair what is named, then ask again",
	"check_studio_capability_local":   "use the studio where it is placed, or change the placement file",
}

// kindOf tells in one word how a verdict stands: pass, block or cannot tell.
func kindOf(v fsm.Verdict) string {
	switch {
	case v.Code == 0 && v.OK:
		return "pass"
	case v.Code >= 20:
		return "cannot tell"
	}
	return "block"
}

// paintVerdict pads the kind of a verdict to a column and colours it.
func (s style) paintVerdict(v fsm.Verdict) string {
	switch kind := kindOf(v); kind {
	case "pass":
		return s.good(kind)
	case "block":
		return s.bad(kind)
	default:
		return s.warn(kind)
	}
}

// guardCode names a guard with the code of its refusal.
func guardCode(v fsm.Verdict) string {
	if v.Code == 0 {
		return v.Guard
	}
	return fmt.Sprintf("%s (%d)", v.Guard, v.Code)
}

// hardness tells whether force could ever pass over a verdict (section 24.4).
func hardness(v fsm.Verdict) string {
	if v.Hard {
		return "hard"
	}
	return "soft"
}

// verdictRows are the rows of a table of verdicts: kind, guard, reason.
func (p *page) verdictRows(verdicts []fsm.Verdict) {
	var rows [][]string
	for _, v := range verdicts {
		rows = append(rows, []string{p.paintVerdict(v), guardCode(v), v.Reason})
	}
	p.table(rows)
}

// asRoot tells who may read more, after verdicts that could not tell.
func (p *page) asRoot(verdicts []fsm.Verdict, uid int) {
	for _, v := range verdicts {
		if v.Code >= 20 && uid != 0 {
			p.line(p.dim("Root can read more than you: use sudo."))
			return
		}
	}
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
