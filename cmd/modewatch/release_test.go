package main

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func holders(pids ...int) fsm.Facts {
	var g fsm.GPU
	for _, pid := range pids {
		g.Holders = append(g.Holders, fsm.GPUHolder{PID: pid, Display: true}, fsm.GPUHolder{PID: pid, Display: true, Node: "another"})
	}
	g.Holders = append(g.Holders, fsm.GPUHolder{PID: 2, Display: true, Infra: true}, fsm.GPUHolder{PID: 3})
	return fsm.Facts{GPU: fsm.Read(g, nil)}
}

func TestInTheWay(t *testing.T) {
	gone, up := map[string]fsm.Unit{"v": {Active: "inactive"}}, map[string]fsm.Unit{"v": {Active: "deactivating"}}
	staff := []fsm.Worker{{PID: 9, Unit: "v"}, {PID: 8, Unit: "v"}, {PID: 7, Unit: "v", Outside: "a child"}, {PID: 0, Unit: "v"}}
	stop := fsm.Query{About: fsm.AboutUnits | fsm.AboutWorkers}
	for name, c := range map[string]struct {
		q    fsm.Query
		f    fsm.Facts
		want []int
		none bool // it is not such a wait
	}{
		"holders":             {q: fsm.Query{About: fsm.AboutGPU}, f: holders(20, 10), want: []int{10, 20}},
		"nobody":              {q: fsm.Query{About: fsm.AboutGPU}, f: holders(), want: []int{}},
		"a look at all":       {q: fsm.Query{About: fsm.Everything}, f: holders(20), none: true},
		"workers left behind": {q: stop, f: fsm.Facts{Units: fsm.Read(gone, nil), Workers: fsm.Read(staff, nil)}, want: []int{8, 9}},
		"the unit stops":      {q: stop, f: fsm.Facts{Units: fsm.Read(up, nil), Workers: fsm.Read(staff, nil)}, want: []int{}},
	} {
		if got := inTheWay(c.q, c.f); (got == nil) != c.none || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The end of a holder is hinted at, only while an attempt runs.
func TestLeavers(t *testing.T) {
	hints := make(chan struct{}, 8)
	l := leavers{hint: func() { hints <- struct{}{} }}
	release := fsm.Query{About: fsm.AboutGPU}
	one, two := exec.Command("cat"), exec.Command("cat")
	endOne, endTwo := begin(t, one), begin(t, two)
	l.saw(release, holders(one.Process.Pid))
	if l.end != nil {
		t.Error("it waits while no attempt runs")
	}
	l.attend(true)
	l.saw(release, holders(one.Process.Pid, two.Process.Pid))
	l.saw(fsm.Query{About: fsm.Core}, fsm.Facts{})
	endOne()
	<-hints
	l.saw(release, holders(two.Process.Pid))
	l.attend(false)
	endTwo()
	if len(hints) > 0 || l.end != nil || l.pids != nil {
		t.Errorf("%d hints after the attempt", len(hints))
	}
}

// begin starts a command that runs until the returned function ends it.
func begin(t *testing.T, cmd *exec.Cmd) func() {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() { in.Close(); cmd.Wait() }
}
