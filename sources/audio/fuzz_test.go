package audio

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// FuzzGraph reads any dump. Whoever runs a stream that the policy does not allow is
// told of; nobody is told of twice; and what is gone is told of no more.
func FuzzGraph(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var objects []object
		if json.Unmarshal(data, &objects) != nil {
			return // an error: cannot tell
		}
		p := fsm.AudioPolicy{LowLatency: 10 * time.Millisecond, Allow: []string{"speech"}, Deny: []string{"reaper"}}
		g := newGraph()
		g.update(objects)
		users := g.users(p, 1000)
		for i, u := range users {
			if u.UID != 1000 || u.How == "" {
				t.Errorf("%q: %+v", data, u)
			}
			for _, v := range users[:i] {
				if u == v {
					t.Errorf("%q: twice %+v", data, u)
				}
			}
		}
		running := 0
		for _, n := range g.nodes {
			c := g.clients[n.Props.Client.number()]
			if n.State == "running" && strings.HasPrefix(string(n.Props.Class), "Stream/") && !named(p.Allow, n) && !named(p.Allow, c) {
				running++
			}
		}
		if running > 0 && len(users) == 0 {
			t.Errorf("%q: %d streams run and nobody uses it", data, running)
		}
		for i := range objects {
			objects[i].Info = nil
		}
		if g.update(objects); len(g.nodes)+len(g.clients)+len(g.links) > 0 || len(g.users(p, 1000)) > 0 || g.fresh() {
			t.Errorf("%q: something stays of what is gone", data)
		}
	})
}
