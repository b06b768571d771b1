package act

import (
	"context"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	ctx := context.Background()
	uid := aliceManager(t)
	for range 15 {
		alices(t, "reset-failed")
		alices(t, "start pipewire.socket wireplumber.service")
		t0 := time.Now()
		m, _ := a.userManager(ctx, uid)
		t1 := time.Now()
		var js []job
		var d []time.Duration
		for _, u := range []string{"pipewire.socket", "pipewire.service", "wireplumber.service"} {
			j, err := m.begin(ctx, stopping, u, replace)
			if err != nil {
				t.Fatal(err)
			}
			js = append(js, j)
			d = append(d, time.Since(t1))
		}
		for _, j := range js {
			m.await(ctx, j)
			d = append(d, time.Since(t1))
		}
		m.Close()
		t.Log("connect", t1.Sub(t0), d)
	}
	for range 4 {
		id := logIn(t, "/bin/sleep 600")
		t0 := time.Now()
		a.lookSession(ctx, id)
		t1 := time.Now()
		removed, un, _ := a.watchRemoval(ctx, id)
		t2 := time.Now()
		a.terminate(ctx, session{id: id, state: "active"})
		t3 := time.Now()
		<-removed
		t4 := time.Now()
		s, _ := a.lookSession(ctx, id)
		t5 := time.Now()
		un()
		t6 := time.Now()
		t.Log("look", t1.Sub(t0), "watch", t2.Sub(t1), "term", t3.Sub(t2), "removed", t4.Sub(t3), "look", t5.Sub(t4), s, "unwatch", t6.Sub(t5))
	}
}
