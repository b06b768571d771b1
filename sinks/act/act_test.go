package act

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

func TestOutcome(t *testing.T) {
	if err := outcome(starting, "x.service", "done"); err != nil {
		t.Errorf("done is %v", err)
	}
	for _, result := range []string{"failed", "timeout", "dependency", "assert", "canceled", "skipped", "collected"} {
		err := outcome(stopping, "x.service", result)
		if err == nil || err.Error() != "cannot stop x.service: job result "+result {
			t.Errorf("%s is %v", result, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	remote := func(name string) error {
		return dbus.Error{Name: name, Body: []any{"Unit x.target says no."}}
	}
	for _, c := range []struct {
		err  error
		text string
		is   error
	}{
		{remote("org.freedesktop.systemd1.NoSuchUnit"), "cannot isolate x.target: no such unit", ErrNotFound},
		{dbus.Error{Name: "org.freedesktop.systemd1.NoSuchUnit", Body: []any{"Unit required-by-x.service not found."}},
			"cannot isolate x.target: NoSuchUnit: Unit required-by-x.service not found", nil},
		{remote("org.freedesktop.systemd1.UnitMasked"), "cannot isolate x.target: it is masked", errMasked},
		{remote("org.freedesktop.systemd1.NoIsolation"), "cannot isolate x.target: NoIsolation: Unit x.target says no", nil},
		{remote("org.freedesktop.DBus.Error.AccessDenied"), "cannot isolate x.target: Unit x.target says no.", nil},
		{context.Canceled, "cannot isolate x.target: context canceled", context.Canceled},
	} {
		err := refusal(isolating, "x.target", c.err)
		if err.Error() != c.text {
			t.Errorf("%v becomes %q, want %q", c.err, err, c.text)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q is no %v", err, c.is)
		}
		if c.is != ErrNotFound && errors.Is(err, ErrNotFound) {
			t.Errorf("%q is taken for a missing unit", err)
		}
	}
}

func TestBusErrorIsNotARefusal(t *testing.T) {
	for err, want := range map[error]bool{
		dbus.ErrClosed: true,
		&net.OpError{Op: "dial", Err: errors.New("refused")}: true,
		context.DeadlineExceeded:                             false,
		errors.New("other"):                                  false,
	} {
		if busError(err) != want {
			t.Errorf("busError(%v) is %v", err, !want)
		}
	}
	for name, want := range map[string]bool{
		"org.freedesktop.DBus.Error.NameHasNoOwner": true,
		"org.freedesktop.DBus.Error.AccessDenied":   false,
		"org.freedesktop.systemd1.NoSuchUnit":       false,
	} {
		if busError(dbus.Error{Name: name}) != want {
			t.Errorf("busError(%s) is %v", name, !want)
		}
	}
}

func TestAudioOrder(t *testing.T) {
	stack := []string{"wireplumber.service", "pipewire.service", "pipewire.socket", "pulse.socket"}
	first := []string{"pipewire.socket", "pulse.socket", "wireplumber.service", "pipewire.service"}
	if got := socketsFirst(stack); !reflect.DeepEqual(got, first) {
		t.Errorf("stopped in the order %v", got)
	}
	if got, want := byHand(first), []string{"pipewire.socket", "pulse.socket", "wireplumber.service"}; !reflect.DeepEqual(got, want) {
		t.Errorf("started by hand: %v, want %v", got, want)
	}
}

func TestRealName(t *testing.T) {
	etc, lib := t.TempDir(), t.TempDir()
	link := func(dir, name, target string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"gdm.service", "getty@.service", "own.service"} {
		if err := os.WriteFile(filepath.Join(lib, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link(etc, "display-manager.service", lib+"/gdm.service")
	link(etc, "dm.service", "display-manager.service")
	link(etc, "stored.service", "/elsewhere/stored.service")
	link(etc, "off.service", "/dev/null")
	link(lib, "off.service", "gdm.service")
	link(lib, "autovt@.service", "getty@.service")
	link(etc, "round.service", "trip.service")
	link(lib, "trip.service", "round.service")
	link(etc, "odd.service", "graphical.target")
	dirs := []string{etc, filepath.Join(etc, "absent"), lib}
	for name, want := range map[string]string{
		"gdm.service":             "gdm.service",
		"display-manager.service": "gdm.service",
		"dm.service":              "gdm.service",
		"stored.service":          "stored.service",
		"off.service":             "off.service",
		"autovt@tty1.service":     "getty@tty1.service",
		"getty@tty1.service":      "getty@tty1.service",
		"odd.service":             "odd.service",
		"nowhere.service":         "nowhere.service",
	} {
		if got, err := realName(dirs, name); got != want || err != nil {
			t.Errorf("%s is really %s (%v), want %s", name, got, err, want)
		}
	}
	if got, err := realName(dirs, "round.service"); err == nil {
		t.Errorf("an endless alias is %s", got)
	}
}

func TestPrivateSocketMustBelongToTheUser(t *testing.T) {
	a := New(fsm.Policy{})
	a.users = t.TempDir()
	if _, err := a.privateSocket("1000"); !errors.Is(err, errNoManager) {
		t.Errorf("a user without a manager: %v", err)
	}
	if _, err := a.privateSocket("../0"); err == nil || errors.Is(err, errNoManager) {
		t.Errorf("a uid that is none: %v", err)
	}
	other := "4242"
	dir := filepath.Join(a.users, other, "systemd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "private"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.privateSocket(other); err == nil || !strings.Contains(err.Error(), "does not belong to user 4242") {
		t.Errorf("somebody else's socket: %v", err)
	}
}

// A peer that takes the connection and never says a word must not outlast ctx.
func TestConnectIsBoundedByContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private")
	mute, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := connect(ctx, dialPrivate(path))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a mute peer: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a mute peer holds the caller beyond its deadline")
	}
}

func TestDoWithoutTheHost(t *testing.T) {
	a := New(fsm.Policy{})
	ctx := t.Context()
	for _, op := range []fsm.Op{{Verb: fsm.Drain, Arg: "vllm.service"}, {Verb: fsm.AwaitRelease, Arg: "display"}, {Verb: fsm.AwaitReady, Arg: "vllm.service"}} {
		if err := a.Do(ctx, op); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	for _, op := range []fsm.Op{{Verb: "reboot", Arg: "now"}, {Verb: fsm.EndSession}, {Verb: fsm.SetBudgets, Arg: "unknown"}} {
		if err := a.Do(ctx, op); err == nil || errors.Is(err, errClosed) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for _, op := range []fsm.Op{{Verb: fsm.Start, Arg: "x.service"}, {Verb: fsm.Isolate, Arg: "x.target"}, {Verb: fsm.EndSession, Arg: "1"}} {
		if err := a.Do(ctx, op); !errors.Is(err, errClosed) {
			t.Errorf("%s after the close: %v", op, err)
		}
	}
}

func TestMaskOnDisk(t *testing.T) {
	a := New(fsm.Policy{})
	a.control = filepath.Join(t.TempDir(), "control")
	if a.masked("gdm.service") {
		t.Error("masked before it was")
	}
	for _, want := range []bool{true, false} {
		if made, err := a.mask("gdm.service"); made != want || err != nil {
			t.Errorf("mask made %v, %v; want %v", made, err, want)
		}
	}
	if !a.masked("gdm.service") {
		t.Error("not masked after it was")
	}
	if err := os.WriteFile(filepath.Join(a.control, "own.service"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/other.service", filepath.Join(a.control, "alias.service")); err != nil || a.masked("alias.service") {
		t.Errorf("somebody's alias counts as a mask of ours: %v", err)
	}
	for _, name := range []string{"own.service", "alias.service", "../x.service"} {
		if made, err := a.mask(name); made || err == nil {
			t.Errorf("mask of %s made %v, %v", name, made, err)
		}
	}
}
