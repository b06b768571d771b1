package desired

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// sleeper is a process of somebody who asks for a hold.
func sleeper(t *testing.T) (pid int, kill func()) {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = func() { in.Close(); _ = cmd.Wait() }
	t.Cleanup(kill)
	return cmd.Process.Pid, kill
}

func TestAHoldForAConnectionLastsAsLongAsItsProcess(t *testing.T) {
	s := prepared(t)
	pid, kill := sleeper(t)
	h := fsm.Hold{ID: "h1", Why: "guests", By: fsm.Caller{UID: 1234, PID: pid}, Since: time.Now(), Client: ":1.7"}
	if err := s.HoldFor(h); err != nil {
		t.Fatal(err)
	}
	s.Who = func(pid int) (fsm.Caller, error) { return fsm.Caller{UID: 1234, PID: pid, Session: "c1"}, nil }
	successor := newStore(s.Dir)
	successor.Who = s.Who
	list := holdsOf(t, successor)
	if len(list) != 1 || list[0].By.UID != 1234 || list[0].By.PID != pid || list[0].By.Session != "c1" || list[0].Why != "guests" {
		t.Errorf("the holds are %+v", list)
	}
	clients, err := successor.ClientHolds()
	if err != nil || len(clients) != 1 || clients[0].Client != ":1.7" || clients[0].By.PID != pid || clients[0].By.UID != 1234 {
		t.Errorf("the clients are %+v, %v", clients, err)
	}
	kill()
	if list := holdsOf(t, successor); len(list) != 0 {
		t.Errorf("held after the end of the process: %+v", list)
	}
}

// Who has ended holds nothing, though nobody has reaped them yet: what waits for the
// end would be told of it again and again.
func TestAHoldForAConnectionEndsBeforeItsProcessIsReaped(t *testing.T) {
	s := prepared(t)
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	h := fsm.Hold{ID: "h1", Why: "guests", By: fsm.Caller{UID: os.Getuid(), PID: cmd.Process.Pid}, Since: time.Now(), Client: ":1.7"}
	if err := s.HoldFor(h); err != nil {
		t.Fatal(err)
	}
	<-procs.FirstEnd(t.Context(), []int{cmd.Process.Pid})
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("held by one who has ended: %+v", list)
	}
}

func TestAHoldForAConnectionIsNotInheritedWithThePID(t *testing.T) {
	s := prepared(t)
	h := fsm.Hold{ID: "h1", Why: "guests", By: fsm.Caller{PID: os.Getpid()}, Since: time.Now(), Client: ":1.7"}
	if err := s.HoldFor(h); err != nil {
		t.Fatal(err)
	}
	name := s.path(holdsName + "/h1.json")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var doc holdFile
	if err := json.Unmarshal(data, &doc); err != nil || doc.Started == 0 {
		t.Fatalf("%v, %+v", err, doc)
	}
	doc.Started-- // another process had this number
	data, _ = json.Marshal(doc)
	if err := os.WriteFile(name, data, holdMode); err != nil {
		t.Fatal(err)
	}
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("held by another process: %+v", list)
	}
}

// Nobody but the daemon holds for others, and for a process that need not live.
func TestAForgedHoldForAConnection(t *testing.T) {
	s := prepared(t)
	if err := s.HoldFor(fsm.Hold{ID: "h1", Why: "x", By: fsm.Caller{UID: 7, PID: 1}, Since: time.Now(), Client: ":1.7"}); err != nil {
		t.Fatal(err)
	}
	reader := newStore(s.Dir)
	reader.Owner = os.Getuid() + 1 // the file is then somebody else's
	if all, err := reader.ClientHolds(); err != nil || len(all) != 0 {
		t.Errorf("believed %+v, %v", all, err)
	}
	if list := holdsOf(t, reader); len(list) != 0 {
		t.Errorf("held: %+v", list)
	}
}

// watchHolds tells what is held, as it changes.
func watchHolds(t *testing.T, s *Store) chan []fsm.Hold {
	told := make(chan []fsm.Hold, 64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.WatchHolds(ctx, func(all []fsm.Hold) { told <- all }) }()
	t.Cleanup(func() { cancel(); <-done })
	return told
}

func TestHoldsAreToldAsTheyChange(t *testing.T) {
	s := prepared(t)
	s.Who = func(pid int) (fsm.Caller, error) { return fsm.Caller{UID: os.Getuid(), PID: pid}, nil }
	told := watchHolds(t, s)
	next := func(what string, n int) []fsm.Hold {
		t.Helper()
		for {
			select {
			case all := <-told:
				if len(all) == n {
					return all
				}
			case <-time.After(patienceForEvents):
				t.Fatalf("%s: nobody told of %d holds", what, n)
			}
		}
	}
	next("at first", 0)
	held, err := s.Hold("h1", "rendering", 0)
	if err != nil {
		t.Fatal(err)
	}
	next("a hold", 1)
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	next("its release", 0)
	if _, err := s.Hold("h2", "guests", time.Second); err != nil {
		t.Fatal(err)
	}
	next("a hold for a time", 1)
	next("its end", 0)
	pid, kill := sleeper(t)
	if err := s.HoldFor(fsm.Hold{ID: "h3", Why: "x", By: fsm.Caller{UID: os.Getuid(), PID: pid}, Since: time.Now(), Client: ":1.7"}); err != nil {
		t.Fatal(err)
	}
	next("a hold of a connection", 1)
	kill()
	next("the end of its process", 0)
	if err := os.WriteFile(s.path(holdsName+"/junk.json"), []byte("{"), holdMode); err != nil {
		t.Fatal(err)
	}
	if all := next("junk", 1); !strings.Contains(all[0].Why, "cannot be read") {
		t.Errorf("junk is told as %+v", all)
	}
}

// A holder that is killed leaves its file behind; its end is told all the same.
func TestAHolderThatIsKilled(t *testing.T) {
	s := prepared(t)
	s.Who = func(pid int) (fsm.Caller, error) { return fsm.Caller{UID: os.Getuid(), PID: pid}, nil }
	told := watchHolds(t, s)
	cmd := holding(t, s)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for last := -1; last != 0; {
		select {
		case all := <-told:
			last = len(all)
		case <-time.After(patienceForEvents):
			t.Fatalf("at last %d holds were told", last)
		}
	}
}
