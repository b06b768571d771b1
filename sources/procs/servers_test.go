package procs

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// Each user's server is told once, with the directory that its clients use; who
// only calls itself pipewire is none.
func TestServers(t *testing.T) {
	tr := newTree(t)
	for _, s := range []struct {
		fake
		environ string
	}{
		{fake{pid: 40, comm: "pipewire", exe: "/usr/bin/pipewire", uid: 1000}, "HOME=/home/alice\x00XDG_RUNTIME_DIR=/run/user/1000\x00"},
		{fake{pid: 41, comm: "pipewire", exe: "/usr/bin/pipewire", uid: 1000}, "XDG_RUNTIME_DIR=/run/user/1000\x00"}, // its filter chain
		{fake{pid: 42, comm: ".pipewire-wrapp", exe: "/nix/store/x/bin/.pipewire-wrapped", uid: 1001}, "A=B\x00"},
		{fake{pid: 43, comm: "pipewire", exe: "/usr/bin/pipewire", uid: 107}, "XDG_RUNTIME_DIR=/x\x00PIPEWIRE_RUNTIME_DIR=/run/pipewire\x00"},
		{fake{pid: 44, comm: "pipewire", exe: "/home/x/daw", uid: 1002}, ""},
		{fake{pid: 46, comm: "daw", exe: "/usr/bin/pipewire", uid: 1003}, ""}, // it hides itself alone
		{fake{pid: 45, comm: "pipewire-pulse", exe: "/usr/bin/pipewire-pulse", uid: 1000}, ""},
	} {
		tr.add(s.fake)
		tr.write(strconv.Itoa(s.pid)+"/environ", s.environ)
	}
	got, err := tr.source(policy()).Servers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []fsm.AudioServer{{PID: 40, UID: uid(1000), Dir: "/run/user/1000"}, {PID: 42, UID: uid(1001), Dir: "/run/user/1001"}, {PID: 43, UID: uid(107), Dir: "/run/pipewire"}}
	if os.Getuid() != 0 {
		want[1].Dir = "/run/user/" + strconv.Itoa(os.Getuid())
	}
	if !slices.Equal(got, want) {
		t.Errorf("servers %+v, want %+v", got, want)
	}
}

// One whose environment cannot be read makes the whole unknown.
func TestAServerThatHidesItsPlace(t *testing.T) {
	tr := newTree(t)
	tr.add(fake{pid: 40, comm: "pipewire", exe: "/usr/bin/pipewire"})
	tr.write("40/environ/not-a-file", "")
	if a, err := tr.source(policy()).Servers(context.Background()); err == nil || !strings.Contains(err.Error(), "where pipewire (PID 40) listens") {
		t.Errorf("%+v, %v", a, err)
	}
}
