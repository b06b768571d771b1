package act

import (
	"context"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	ctx := context.Background()
	a.lookSession(ctx, "x")
	for range 8 {
		id := logIn(t, "/bin/sleep 600")
		t0 := time.Now()
		s0, _ := a.lookSession(ctx, id)
		t1 := time.Now()
		removed, un, _ := a.watchRemoval(ctx, id)
		t2 := time.Now()
		terr := a.terminate(ctx, session{id: id, state: "active"})
		t3 := time.Now()
		select { case <-removed: case <-time.After(3*time.Second): s, e := a.lookSession(ctx,id); t.Log("STUCK", s0, terr, s, e) }
		t4 := time.Now()
		s, _ := a.lookSession(ctx, id)
		t5 := time.Now()
		un()
		t6 := time.Now()
		t.Log("look", t1.Sub(t0), "watch", t2.Sub(t1), "term", t3.Sub(t2), "removed", t4.Sub(t3), "look", t5.Sub(t4), s, "unwatch", t6.Sub(t5))
	}
}
