package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
)

// aDay is a record: to compute and back in the night, a refusal, a failure, the studio.
func aDay() []fsm.Attempt {
	at := func(hours float64, from, to, final fsm.Mode, out fsm.Outcome) fsm.Attempt {
		ended := noon.Add(-time.Duration(hours * float64(time.Hour)))
		return fsm.Attempt{Schema: fsm.Schema, ID: ended.Format("150405"), From: from, To: to, Final: final, Outcome: out, Success: out == fsm.Reached,
			Begun: ended.Add(-20 * time.Second), Ended: ended}
	}
	return []fsm.Attempt{
		at(30, fsm.Compute, fsm.Desktop, fsm.Desktop, fsm.Reached),
		at(16, fsm.Desktop, fsm.Compute, fsm.Compute, fsm.Reached),
		at(6.5, fsm.Compute, fsm.Desktop, fsm.Desktop, fsm.Reached),
		at(5, fsm.Desktop, fsm.Compute, fsm.Desktop, fsm.Blocked),
		at(4, fsm.Desktop, fsm.Compute, fsm.Desktop, fsm.Recovered),
		at(3, fsm.Desktop, fsm.StudioLocal, fsm.StudioLocal, fsm.Reached),
		at(0.5, fsm.StudioLocal, fsm.Desktop, fsm.Desktop, fsm.Reached),
	}
}

func TestGoldenTimeline(t *testing.T) {
	var g pages
	l := lineOf(aDay(), noon.Add(-24*time.Hour), noon)
	g.add("a day", 0, func(p *page) { p.timeline(l, 80) })
	g.add("a narrow terminal", 0, func(p *page) { p.timeline(l, 40) })
	g.add("a long time", 0, func(p *page) { p.timeline(lineOf(aDay(), noon.AddDate(0, 0, -100000), noon), 60) })
	g.add("no record", 0, func(p *page) { p.timeline(lineOf(nil, noon.Add(-time.Hour), noon), 60) })
	golden(t, "timeline", g.b.String())
}

func TestGoldenReport(t *testing.T) {
	var g pages
	g.add("a day", 0, func(p *page) { p.report(7, fsm.Report(aDay(), noon)) })
	g.add("two persist", 0, func(p *page) {
		p.report(40, []fsm.Condition{{What: "a", Known: true, Holds: true, Evidence: "x"}, {What: "b", Known: true, Holds: true, Evidence: "y"}, {What: "c", Evidence: "z"}})
	})
	golden(t, "report", g.b.String())
}

// picture holds a picture of docs against what draws it, and wants it to be one.
func picture(t *testing.T, name, got string) {
	t.Helper()
	paper(t, "../docs/"+name, got)
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestPicturesAreDrawnByTheProgram(t *testing.T) {
	picture(t, "timeline.svg", lineOf(aDay(), noon.Add(-24*time.Hour), noon).svg()+"\n")
	picture(t, "states.svg", graphSVG(fsm.Transitioning)+"\n")
	for _, r := range fsm.Table {
		if strings.HasPrefix(string(r.On), "drifted-to-") {
			continue
		}
		if !strings.Contains(graphSVG(fsm.Boot), string(r.On)) {
			t.Errorf("%s is not drawn", r.On)
		}
	}
}

func TestVerbsOfTheRecord(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(inCompute))
	defer lock.Release()
	log := history.New(r.cfg.LibDir, 100)
	for _, a := range aDay() {
		r.must(log.Append(a))
	}
	if code, out, said := r.run("timeline", "--since", "2026-03-13", "--json"); code != 0 {
		t.Errorf("timeline: exit %d\n%s%s", code, out, said)
	} else {
		var d drawn
		if err := json.Unmarshal([]byte(out), &d); err != nil || len(d.Attempts) != 7 || len(d.Spans) != 7 {
			t.Errorf("the timeline is %+v, %v", d, err)
		}
	}
	for _, args := range [][]string{{"timeline"}, {"timeline", "--format", "svg"}, {"report"}, {"report", "--json", "--since", "7d"}, {"graph", "--format", "svg"}} {
		if code, out, said := r.run(args...); code != 0 || len(out) < 100 {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, said)
		}
	}
	if code, out, _ := r.run("graph"); code != 0 || !strings.HasPrefix(out, "stateDiagram-v2") || !strings.HasSuffix(out, "class compute now\n") {
		t.Errorf("graph: exit %d\n%s", code, out)
	}
	for _, args := range [][]string{{"timeline", "--format", "png"}, {"graph", "--format", "dot"}, {"report", "--since", "soon"}} {
		if code, _, said := r.run(args...); code != fsm.ExitMisuse || !strings.Contains(said, "hint") {
			t.Errorf("%v: exit %d\n%s", args, code, said)
		}
	}
}
