package integration

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modewatch/modewatch/fsm"
)

// screen is a terminal of 80 columns and 24 lines, with a shell of root's on it.
type screen struct{ *desk }

func (d *desk) screen() screen {
	d.t.Helper()
	d.Must(d.t, "systemd-run", "--quiet", "--unit=terminal", "-p", "Type=forking", "-p", "IgnoreOnIsolate=yes", "--setenv=LANG=C.UTF-8", "--setenv=HOME=/root",
		"tmux", "-u", "-S", "/run/tmux", "new-session", "-d", "-x", "80", "-y", "24", "env", "PS1=ready> ", "bash", "--norc", "--noprofile")
	s := screen{d}
	s.shows("a prompt", "ready>")
	return s
}

func (s screen) tmux(args ...string) string {
	s.t.Helper()
	return s.Must(s.t, append([]string{"tmux", "-u", "-S", "/run/tmux"}, args...)...)
}

// types has a command typed on a screen that is empty.
func (s screen) types(command string) {
	s.t.Helper()
	s.tmux("send-keys", "-R", ";", "clear-history", ";", "send-keys", "C-l")
	s.tmux("send-keys", command, "Enter")
}

// text is what is on the screen; lines that did not fit are one again.
func (s screen) text() string { s.t.Helper(); return s.tmux("capture-pane", "-p", "-J") }

// shows waits until all texts are on the screen, in this order.
func (s screen) shows(what string, texts ...string) string {
	s.t.Helper()
	return s.finds(what, s.text, texts...)
}

// People look at it in a terminal: while it goes on, at a page, and at a transition.
func TestTheTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm", files: map[string]string{
		"/etc/systemd/system/mode-prepare-desktop.service": "[Service]\nType=oneshot\nExecStart=sh -c 'until test -e /run/go; do sleep 0.1; done'\n"}})
	d.rests(fsm.AtDesktop)
	d.eventually("alice to be seen", func() bool { return len(d.snapshot().Observation.Degraded) == 0 })
	s := d.screen()

	s.types("modewatch state --follow")
	s.shows("the state", ":", " desktop")
	d.want(0, "request", "compute")
	s.shows("each change", " desktop\n", " transitioning: desktop → compute", " compute")
	s.tmux("send-keys", "C-c")
	s.tmux("send-keys", `echo "it ended with $?"`, "Enter")
	s.shows("the shell again", `echo "it ended with`, "it ended with 130")

	s.types("modewatch status")
	page := s.shows("the page", "state       compute", "wish        compute", "last        compute reached from desktop", " ms  ", "controller  running", "ready>")
	for line := range strings.Lines(page) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, " \n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	if painted := s.tmux("capture-pane", "-p", "-e"); !strings.Contains(painted, "\x1b[") || strings.Contains(page, "\x1b") || strings.Contains(page, "[0m") {
		t.Errorf("the page has no colour, or what it is made of is seen:\n%q", painted)
	}
	for _, plain := range []string{"NO_COLOR=1 modewatch status", "TERM=dumb modewatch status", "modewatch --no-color status"} {
		s.types(plain)
		s.shows("the page", "controller  running", "ready>")
		if painted := s.tmux("capture-pane", "-p", "-e"); strings.Contains(painted, "\x1b[") {
			t.Errorf("%s is coloured:\n%q", plain, painted)
		}
	}

	s.types("modewatch request desktop")
	s.shows("the step", "run mode-prepare-desktop.service to its end", "at most")
	s.tmux("resize-window", "-x", "60", "-y", "20")
	d.Must(t, "touch", "/run/go")
	end := s.shows("the end", "desktop reached from compute", "ready>")
	if strings.Count(end, "reached from") != 1 {
		t.Errorf("more than the end stands there:\n%s", end)
	}
}
