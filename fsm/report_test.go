package fsm

import (
	"testing"
	"time"
)

// toCompute is an attempt to compute that began so many hours ago and took one.
func toCompute(now time.Time, hours int, result string) Attempt {
	begun := now.Add(-time.Duration(hours) * time.Hour)
	return Attempt{From: Desktop, To: Compute, Final: Compute, Begun: begun, Ended: begun.Add(time.Hour),
		Steps: []StepResult{{Op: Op{EndSession, "2"}, Result: result}, {Op: Op{AwaitRelease, "display"}, Result: "done"}}}
}

func TestReportNeedsARecord(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range Report(nil, now) {
		if c.Holds || c.Known || c.Evidence == "" {
			t.Errorf("of nothing: %+v", c)
		}
	}
	few := []Attempt{toCompute(now, 9, "failed"), toCompute(now, 7, "failed")}
	for _, c := range Report(few, now) {
		if c.Holds || c.Known {
			t.Errorf("of two attempts: %+v", c)
		}
	}
}

func TestReportTellsPersistentProblems(t *testing.T) {
	now := time.Unix(1e9, 0)
	var all []Attempt
	for i := range 10 {
		result := "done"
		if i == 3 {
			result = "timeout"
		}
		all = append(all, toCompute(now, 1000-90*i, result))
	}
	got := Report(all, now)
	if !got[1].Holds || got[1].Evidence != "1 of 10 attempts failed at it" || got[2].Holds || !got[2].Known {
		t.Errorf("the conditions are %+v", got)
	}
	if !got[3].Holds || got[3].Evidence != "99 % of 41.6 days in compute" || !Specialise(got) {
		t.Errorf("the persona is %+v", got[3])
	}
	all[4].Verdicts = []Verdict{{Guard: "check_gpu_display_released", Code: 11}}
	if got := Report(all, now); !got[2].Holds {
		t.Errorf("a refusal at the GPU: %+v", got[2])
	}
	all[3].Steps[0].Undo = true // what is taken back is no attempt at it
	if got := Report(all, now); got[1].Holds || Specialise(got[:2]) {
		t.Errorf("without it: %+v", got[1])
	}
}

func TestSpansAreBetweenAttempts(t *testing.T) {
	now := time.Unix(1e9, 0)
	home := Attempt{From: Compute, To: Desktop, Final: Desktop, Begun: now.Add(-5 * time.Hour), Ended: now.Add(-4 * time.Hour)}
	got := Spans([]Attempt{toCompute(now, 10, "done"), home}, now)
	if len(got) != 2 || got[0].Mode != Compute || got[0].To.Sub(got[0].From) != 4*time.Hour || got[1].Mode != Desktop || !got[1].To.Equal(now) {
		t.Errorf("the spans are %+v", got)
	}
}
