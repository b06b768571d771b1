package bus

import (
	"reflect"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// The values of properties that are lists of structs, in the order of their members.
type (
	deviation struct{ What, Evidence string }
	held      struct {
		ID, Why, Who string
		UID          uint32
		Until        uint64
	}
	judged struct {
		Guard  string
		OK     bool
		Code   int32
		Reason string
		Hard   bool
	}
)

// dict is a dictionary of the bus, a{sv}.
type dict = map[string]dbus.Variant

// valuesOf are the properties that a snapshot makes.
func valuesOf(s fsm.Snapshot) map[string]any {
	return map[string]any{
		"PID": uint32(s.PID), "State": string(s.State), "StateSince": micros(s.Since),
		"CurrentMode": string(s.Current()), "Mode": string(s.Observation.Mode), "DesiredMode": string(desired(s)),
		"Wish": wishOf(s.Wish), "Waits": clean(s.Waits), "Evidence": cleanAll(s.Observation.Evidence),
		"Degraded": deviations(s.Observation.Degraded), "Attempt": attemptOf(s.Attempt),
		"LastTransition": lastOf(s.Last),
	}
}

func desired(s fsm.Snapshot) fsm.Mode {
	if s.Wish == nil {
		return ""
	}
	return s.Wish.Mode
}

func wishOf(w *fsm.Wish) dict {
	if w == nil {
		return dict{}
	}
	return variants(map[string]any{"ID": w.ID, "Mode": string(w.Mode), "Reason": string(w.Reason), "At": micros(w.At),
		"UID": int32(w.By.UID), "PID": uint32(w.By.PID), "Unit": w.By.Unit, "Session": w.By.Session})
}

func attemptOf(r *fsm.Running) dict {
	if r == nil {
		return dict{}
	}
	return variants(map[string]any{"ID": r.ID, "From": string(r.From), "To": string(r.To), "Doing": r.Doing,
		"Step": uint32(r.Step), "Steps": uint32(r.Steps), "Operation": strings.TrimSpace(r.Op.String()), "Awaited": r.Await,
		"Begun": micros(r.Begun), "Since": micros(r.Since), "Deadline": micros(r.Until), "PointOfNoReturn": r.Phase == fsm.After})
}

func lastOf(a *fsm.Attempt) dict {
	if a == nil {
		return dict{}
	}
	return variants(map[string]any{"ID": a.ID, "From": string(a.From), "To": string(a.To), "Final": string(a.Final),
		"Outcome": string(a.Outcome), "Success": a.Success, "Exit": int32(a.Exit), "Cause": a.Cause,
		"Begun": micros(a.Begun), "Ended": micros(a.Ended)})
}

func deviations(all []fsm.Deviation) []deviation {
	out := []deviation{}
	for _, d := range all {
		out = append(out, deviation{clean(d.What), clean(d.Evidence)})
	}
	return out
}

func verdictsOf(all []fsm.Verdict) []judged {
	out := []judged{}
	for _, v := range all {
		out = append(out, judged{clean(v.Guard), v.OK, int32(v.Code), clean(v.Reason), v.Hard})
	}
	return out
}

func holdsOf(all []fsm.Hold) []held {
	out := []held{}
	for _, h := range all {
		out = append(out, held{clean(h.ID), clean(h.Why), clean(h.By.String()), uint32(max(h.By.UID, 0)), micros(h.Until)})
	}
	return out
}

// micros is a moment as the bus has it, in µs since 1970; 0 for none.
func micros(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMicro())
}

func variants(in map[string]any) dict {
	out := dict{}
	for k, v := range in {
		if text, ok := v.(string); ok {
			v = clean(text)
		}
		out[k] = dbus.MakeVariant(v)
	}
	return out
}

// clean makes of a text one that the bus takes: it ends the connection of who sends
// another.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func cleanAll(all []string) []string {
	out := []string{}
	for _, text := range all {
		out = append(out, clean(text))
	}
	return out
}

// changed are the properties in which now differs from before.
func changed(before, now map[string]any) dict {
	out := dict{}
	for name, v := range now {
		if !reflect.DeepEqual(v, before[name]) {
			out[name] = dbus.MakeVariant(v)
		}
	}
	return out
}
