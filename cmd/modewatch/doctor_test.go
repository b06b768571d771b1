package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/internal/sim"
)

// healthy is a host that is well set up.
func healthy() examined {
	cfg := config.Default()
	to := func(m fsm.Mode) engine.Preview {
		return engine.Preview{Observation: atDesk, Verdicts: []fsm.Verdict{reachable}, Facts: fsm.Facts{
			GPU:      fsm.Read(fsm.GPU{Present: []string{"/dev/dri/card0"}}, nil),
			StopSets: fsm.Read(map[string]fsm.StopSet{"compute.target": {Target: "compute.target", Stops: []fsm.StopUnit{{Name: "cups.service"}}}}, nil),
			Units:    fsm.Read(map[string]fsm.Unit{}, nil),
		}}
	}
	return examined{cfg: cfg, previews: map[fsm.Mode]engine.Preview{fsm.Desktop: to(fsm.Desktop), fsm.Compute: to(fsm.Compute)},
		live: view{Live: true, Snapshot: fsm.Snapshot{PID: 7}}, version: version, actions: make([]string, 6),
		login: login{stopDelay: 10 * time.Second}, group: group{true, []string{"alice"}}, free: 1 << 30}
}

func TestDoctorFindsAHealthyHostHealthy(t *testing.T) {
	for _, d := range diagnose(healthy()) {
		if d.Level != "ok" || d.Found == "" || d.Do != "" {
			t.Errorf("%+v", d)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	bad := errors.New("no answer")
	compute := func(x *examined, change func(*engine.Preview)) {
		p := x.previews[fsm.Compute]
		change(&p)
		x.previews[fsm.Compute] = p
	}
	for what, c := range map[string]struct {
		change func(*examined)
		level  string
		says   string
	}{
		"configuration": {func(x *examined) { x.config = bad }, "fail", "no answer"},
		"compute": {func(x *examined) {
			compute(x, func(p *engine.Preview) {
				p.Verdicts = []fsm.Verdict{{Guard: "check_target_reachable", Code: 18, Hard: true, Reason: "compute.target is masked"}}
			})
		}, "fail", "masked"},
		"desktop": {func(x *examined) {
			x.previews[fsm.Desktop] = engine.Preview{Verdicts: []fsm.Verdict{{Guard: "check_target_reachable", Code: 28, Reason: "no bus"}}}
		}, "warn", "no bus"},
		"what must survive": {func(x *examined) {
			x.previews[fsm.Compute].Facts.StopSets.Value["compute.target"] = fsm.StopSet{Stops: []fsm.StopUnit{{Name: "modewatch.service"}}}
		}, "fail", "modewatch.service by compute.target"},
		"what must survive ": {func(x *examined) {
			x.previews[fsm.Compute].Facts.Units.Value["compute.target"] = fsm.Unit{Name: "compute.target", Load: "masked"}
		}, "warn", "compute.target is masked"},
		"session starters": {func(x *examined) {
			x.cfg.Policy.Units.Starters = nil
			x.manager = []string{"gdm.service", "display-manager.service"}
		}, "fail", "gdm.service runs"},
		"daemon":          {func(x *examined) { x.live = view{} }, "warn", "not running"},
		"bus":             {func(x *examined) { x.onBus = bad }, "fail", "not on it"},
		"polkit":          {func(x *examined) { x.actions = nil }, "fail", "0 of our 6"},
		"logind":          {func(x *examined) { x.login.stopDelay = time.Hour }, "warn", "for 1 h"},
		"group modewatch": {func(x *examined) { x.group = group{} }, "fail", "does not exist"},
		"desired":         {func(x *examined) { x.desired = "its mode is 666" }, "warn", "666"},
		"GPUs": {func(x *examined) {
			compute(x, func(p *engine.Preview) { p.Facts.GPU = fsm.Read(fsm.GPU{}, bad) })
		}, "warn", "no answer"},
		"display GPU": {func(x *examined) {
			compute(x, func(p *engine.Preview) { p.Facts.GPU = fsm.Read(fsm.GPU{}, bad) })
		}, "warn", "cannot tell"},
		"k3s":       {func(x *examined) { x.pods = "/sys/fs/cgroup/kubepods" }, "warn", "kubepods"},
		"catalogue": {func(x *examined) { x.database = bad }, "warn", "no answer"},
		"disk":      {func(x *examined) { x.free = 4096 }, "fail", "4 KiB"},
	} {
		x := healthy()
		c.change(&x)
		found := false
		for _, d := range diagnose(x) {
			if d.What != strings.TrimSpace(what) {
				continue
			}
			found = true
			if d.Level != c.level || !strings.Contains(d.Found, c.says) || d.Do == "" {
				t.Errorf("%s: %+v", what, d)
			}
		}
		if !found {
			t.Errorf("nothing is said of %s", what)
		}
	}
}

func TestDoctorOfOtherDoubts(t *testing.T) {
	for says, change := range map[string]func(*examined){
		"does not answer, so that": func(x *examined) { x.polkit = errors.New("x") },
		"nobody is org.modewatch1": func(x *examined) { x.live, x.onBus = view{}, errors.New("x") },
		"this program":             func(x *examined) { x.version = "0.0" },
		"has no members":           func(x *examined) { x.group.members = nil },
		"does not answer: x":       func(x *examined) { x.login.err = errors.New("x") },
		"there is none": func(x *examined) {
			p := x.previews[fsm.Compute]
			p.Facts.GPU = fsm.Read(fsm.GPU{}, nil)
			x.previews[fsm.Compute] = p
		},
		"cannot tell: x":             func(x *examined) { x.freeErr = errors.New("x") },
		"what an isolate would stop": func(x *examined) { x.previews = map[fsm.Mode]engine.Preview{} },
	} {
		x := healthy()
		change(&x)
		var all []string
		for _, d := range diagnose(x) {
			all = append(all, d.Level+" "+d.Found)
		}
		if text := strings.Join(all, "\n"); !strings.Contains(text, says) {
			t.Errorf("%q is not said:\n%s", says, text)
		}
	}
}

func TestWhatDoctorReads(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if g := readGroup(write("group", "root:x:0:\nmodewatch:x:99:alice,bob\n", 0o644)); !g.there || len(g.members) != 2 {
		t.Errorf("the group is %+v", g)
	}
	if g := readGroup(dir + "/nothing"); g.there {
		t.Errorf("the group is %+v", g)
	}
	open := write("desired", "compute\n", 0o666)
	if got := faultOf(open, os.Getgid()); !strings.Contains(got, "666") {
		t.Errorf("open to all: %q", got)
	}
	if got := faultOf(dir, 0); !strings.Contains(got, "regular") {
		t.Errorf("a folder: %q", got)
	}
	if got := faultOf(dir+"/nothing", 0); got == "" {
		t.Error("nothing is wrong with nothing")
	}
	if got := strayPods(dir); got != "" {
		t.Errorf("pods in %s", got)
	}
	if err := os.Mkdir(dir+"/kubepods.slice", 0o755); err != nil {
		t.Fatal(err)
	}
	if got := strayPods(dir); !strings.Contains(got, "kubepods.slice") {
		t.Errorf("pods in %q", got)
	}
	if err := catalogued(dir + "/nothing"); err == nil {
		t.Error("nothing is in the catalogue")
	}
}

func TestDoctorAnswersOnAnyHost(t *testing.T) {
	r := newRig(t, sim.Desk(config.Default().Policy))
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/nobody")
	code, out, said := r.run("doctor")
	if code != exitError || !strings.Contains(out, "fail  logind") || !strings.Contains(out, "→ ") {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
	if code, out, _ := r.run("doctor", "--json"); code != exitError || !strings.Contains(out, `"level": "ok"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
}
