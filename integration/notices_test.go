package integration

import (
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// inSession runs a command as a program of alice's session does.
func (d *desk) inSession(command string) string {
	d.t.Helper()
	r := d.within("sh", "-c", "export XDG_RUNTIME_DIR=/run/user/1000; export DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus; "+command)
	return r.Stdout + r.Stderr
}

// onScreen is what mako shows, as JSON.
func (d *desk) onScreen() string {
	return d.inSession("busctl --user --json=short call org.freedesktop.Notifications /fr/emersion/Mako fr.emersion.Mako ListNotifications")
}

// showsNotices has alice's session show notices, as a Wayland session does: by mako,
// with ours a part of graphical-session.target.
func (d *desk) showsNotices() {
	d.t.Helper()
	d.inSession(`cd $XDG_RUNTIME_DIR; WAYLAND_DISPLAY=$(ls -d wayland-*[0-9] | tail -n 1) setsid mako --default-timeout=0 >/tmp/mako 2>&1 </dev/null &`)
	d.eventually("who shows notices", func() bool {
		return d.inSession("busctl --user status org.freedesktop.Notifications | grep Comm=") == "Comm=mako\n"
	})
	d.inSession(`mkdir -p ~/.config/systemd/user; printf '[Unit]\nBindsTo=graphical-session.target\n' >~/.config/systemd/user/session.target; ` +
		`systemctl --user daemon-reload; systemctl --user start session.target`)
	d.inSession("systemctl --user enable --now modewatch-notify.service")
	if out := d.inSession("systemctl --user is-active modewatch-notify.service"); out != "active\n" {
		d.t.Fatalf("modewatch-notify.service is %s", out)
	}
}

// A person at the desk is shown a transition, may cancel it there, and is told why none
// is made.
func TestNoticesOnTheDesktop(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm", files: map[string]string{
		"/etc/systemd/system/mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=sleep 60\n"}})
	d.rests(fsm.AtDesktop)
	d.showsNotices()
	d.want(0, "hold", "--why", "a film", "--for", "1h")
	if r := d.mode("request", "compute"); r.Code == 0 {
		t.Fatalf("a held host went:\n%s", r.Stdout)
	}
	d.finds("the notice of a refusal", d.onScreen, "desktop → compute is blocked", "a film")
	d.Must(t, "sh", "-c", "rm /run/mode-controller/holds/*")
	d.Must(t, method("Request", "sa{sv}", "compute", "0")...)
	d.finds("the notice of what is under way", d.onScreen, `"desktop → compute"`, "mode-prepare-compute.service", "ends every session")
	d.eventually("the answer of its button", func() bool {
		d.inSession("makoctl invoke cancel")
		return d.last().Outcome == fsm.Cancelled
	})
	d.rests(fsm.AtDesktop)
	d.finds("the notice of its end", d.onScreen, "desktop → compute was cancelled")
	if out := d.onScreen(); strings.Count(out, `"summary"`) != 1 {
		t.Errorf("not one notice is shown in the place of the other:\n%s", out)
	}
	if n := d.inSession("systemctl --user show -P NRestarts modewatch-notify.service"); n != "0\n" {
		t.Errorf("it was started anew %s times", n)
	}
}
