package audio

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// dump is a graph as pw-dump of PipeWire 1.4.2 printed it.
func dump(t *testing.T, name string) *Graph {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return graph(t, string(data))
}

func graph(t *testing.T, dumps ...string) *Graph {
	t.Helper()
	g := newGraph()
	for _, d := range dumps {
		var objects []object
		if err := json.Unmarshal([]byte(d), &objects); err != nil {
			t.Fatal(err)
		}
		g.update(objects)
	}
	return g
}

func told(users []fsm.AudioUse) string {
	var out []string
	for _, u := range users {
		out = append(out, u.Comm+" "+u.How)
	}
	return strings.Join(out, "; ")
}

func TestRealGraphs(t *testing.T) {
	for name, want := range map[string]struct {
		users fsm.AudioUse
		fresh bool
	}{
		"idle":  {},
		"after": {fresh: true},
		"play":  {fsm.AudioUse{PID: 180, UID: 1000, Comm: "pw-cat", How: "(pw-play) plays at 4800/48000 in PipeWire, 2 links"}, true},
		"pacat": {fsm.AudioUse{PID: 189, UID: 1000, Comm: "pacat", How: "plays at 8192/48000 in PipeWire, 2 links"}, true},
		"rec":   {fsm.AudioUse{PID: 207, UID: 1000, Comm: "pw-cat", How: "(pw-record) records in PipeWire, 2 links"}, true},
		"jack":  {fsm.AudioUse{PID: 196, UID: 1000, Comm: "jack_metro", How: "is a running JACK client at 64/48000 in PipeWire, 0 links"}, true},
	} {
		g := dump(t, name)
		users := g.users(fsm.AudioPolicy{}, 1000)
		if want.users == (fsm.AudioUse{}) && len(users) == 0 {
			users = []fsm.AudioUse{{}}
		}
		if len(users) != 1 || users[0] != want.users || g.fresh() != want.fresh {
			t.Errorf("%s: %+v, fresh %v, want %+v", name, users, g.fresh(), want)
		}
	}
}

const (
	client  = `{"id":7,"type":"PipeWire:Interface:Client","info":{"props":{"application.name":"Song","application.process.binary":"song","pipewire.sec.pid":70}}}`
	sink    = `{"id":1,"type":"PipeWire:Interface:Node","info":{"state":"idle","props":{"media.class":"Audio/Sink","node.name":"speaker"}}}`
	playing = `{"id":9,"type":"PipeWire:Interface:Node","info":{"state":"STATE","props":{"media.class":"Stream/Output/Audio","node.name":"out","client.id":7,"node.latency":"64/48000"}}}`
)

func state(s string) string { return strings.Replace(playing, "STATE", s, 1) }

func TestStates(t *testing.T) {
	low := fsm.AudioPolicy{LowLatency: 6 * time.Millisecond}
	filter := `{"id":9,"type":"PipeWire:Interface:Node","info":{"state":"running","props":{"client.id":"7","node.name":"eq","media.type":"Audio"}}}`
	for name, c := range map[string]struct {
		node string
		p    fsm.AudioPolicy
		want string
	}{
		"running":                       {state("running"), fsm.AudioPolicy{}, "song (Song) plays at 64/48000 in PipeWire, 0 links"},
		"paused":                        {state("idle"), fsm.AudioPolicy{}, ""},
		"paused, low latency":           {state("idle"), low, "song (Song) is connected to PipeWire with low latency, at 64/48000"},
		"paused, latency of a player":   {strings.Replace(state("idle"), "64/", "1024/", 1), low, ""},
		"suspended, low latency":        {state("suspended"), low, ""},
		"allowed by application":        {state("running"), fsm.AudioPolicy{Allow: []string{"Song"}}, ""},
		"allowed by binary":             {state("running"), fsm.AudioPolicy{Allow: []string{"song"}}, ""},
		"allowed by node":               {state("running"), fsm.AudioPolicy{Allow: []string{"out"}}, ""},
		"another is allowed":            {state("running"), fsm.AudioPolicy{Allow: []string{"son"}}, "song (Song) plays at 64/48000 in PipeWire, 0 links"},
		"denied, though it is silent":   {state("suspended"), fsm.AudioPolicy{Deny: []string{"Song"}}, "song (Song) is connected to PipeWire, which Song may not be"},
		"a filter has no class":         {filter, fsm.AudioPolicy{}, "song (Song) processes sound in PipeWire, 0 links"},
		"a screen recording":            {strings.Replace(state("running"), "Output/Audio", "Input/Video", 1), fsm.AudioPolicy{}, "song (Song) records at 64/48000 in PipeWire, 0 links"},
		"a driver of nobody":            {strings.Replace(filter, `"client.id":"7",`, "", 1), fsm.AudioPolicy{}, ""},
		"nonsense instead of a latency": {strings.Replace(state("idle"), "64/48000", "fast/0", 1), low, ""},
	} {
		if got := told(graph(t, "["+client+","+sink+","+c.node+"]").users(c.p, 1000)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Objects come, change and go by their ids; links are counted while they are active.
func TestUpdates(t *testing.T) {
	link := `{"id":11,"type":"PipeWire:Interface:Link","info":{"state":"active","output-node-id":9,"input-node-id":1}}`
	g := graph(t, "["+client+","+sink+"]", "["+state("suspended")+"]", "["+link+","+state("running")+"]")
	if got := told(g.users(fsm.AudioPolicy{}, 1)); got != "song (Song) plays at 64/48000 in PipeWire, 1 link" {
		t.Errorf("linked: %s", got)
	}
	g.update([]object{{ID: 11}})
	if got := told(g.users(fsm.AudioPolicy{}, 1)); !strings.HasSuffix(got, "0 links") {
		t.Errorf("unlinked: %s", got)
	}
	g.update([]object{{ID: 9}, {ID: 7}})
	if got := g.users(fsm.AudioPolicy{}, 1); got != nil || !g.fresh() {
		t.Errorf("gone: %+v, fresh %v", got, g.fresh())
	}
	g.update([]object{{ID: 1}})
	if g.fresh() {
		t.Error("an empty graph is fresh")
	}
}

// One process that plays three streams alike is one use.
func TestOneOfEach(t *testing.T) {
	again := strings.Replace(state("running"), `"id":9`, `"id":10`, 1)
	if got := graph(t, "["+client+","+state("running")+","+again+"]").users(fsm.AudioPolicy{}, 1000); len(got) != 1 || got[0].PID != 70 {
		t.Errorf("%+v", got)
	}
}
