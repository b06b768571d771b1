package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var sentenceEnd = regexp.MustCompile(`([.!?][)"]?) +(\S)`)

// roff makes lines of a manual page of plain text.
func roff(text string) string {
	var b strings.Builder
	text = sentenceEnd.ReplaceAllString(strings.TrimSpace(text), "$1\n$2") // a sentence, a line
	for line := range strings.Lines(text) {
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), `\`, `\e`)
		switch {
		case strings.TrimSpace(line) == "":
			b.WriteString(".Pp\n")
			continue
		case strings.HasPrefix(line, "    "):
			line = ".Dl " + strings.ReplaceAll(strings.TrimSpace(line), `"`, `\(dq`)
		case strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'"):
			line = `\&` + line
		}
		b.WriteString(line + "\n")
	}
	return regexp.MustCompile(`\.Pp\n(\.Dl)`).ReplaceAllString(b.String(), "$1")
}

func head(name, section, what string) string {
	return ".\\\" Made by cmd/modewatch/manual_test.go.\n.Dd November 24, 2026\n.Dt " + name + " " + section + "\n.Os\n.Sh NAME\n.Nm " + strings.ToLower(name) + "\n.Nd " + what + "\n"
}

func manual() string {
	var b strings.Builder
	b.WriteString(head("MODEWATCH", "8", "move a host safely between desktop, studio and compute"))
	b.WriteString(".Sh SYNOPSIS\n.Nm\n.Ar VERB\n.Op Ar ARGUMENT\n.Op Fl -json\n.Op Ar FLAGS\n.Nm mode\n.Ar VERB ...\n.Sh DESCRIPTION\n" +
		"One host is by turns a desktop, an audio studio and a headless compute node.\n.Nm\nmoves it between these modes only when that is safe,\n" +
		"proves by observation that it got there, and walks back when it did not.\n.Ar MODE\nis\n.Cm desktop ,\n.Cm studio-local\nor\n.Cm compute .\n.Pp\nThe verbs:\n.Bl -tag -width Ds\n")
	for _, o := range offers() {
		fmt.Fprintf(&b, ".It Cm %s", o.name)
		if o.args != "" {
			fmt.Fprintf(&b, " Ar %s", strings.ReplaceAll(o.args, "...", " ..."))
		}
		fmt.Fprintf(&b, "\n%s", roff(sentence(o.summary)))
		if o.long != "" {
			fmt.Fprintf(&b, ".Pp\n%s", roff(o.long))
		}
		own := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.verb.flags(own)
		options(&b, own)
	}
	b.WriteString(".El\n.Sh OPTIONS\nEvery verb takes these; those that read take\n.Fl -json .\n")
	options(&b, env{}.globalFlags())
	b.WriteString(".Sh FILES\n.Bl -tag -width Ds -compact\n")
	for _, f := range [][2]string{
		{"/etc/modewatch/config.toml", "the configuration, modewatch.toml(5)"},
		{"/etc/modewatch/guards.d", "guards of the site: programs that may refuse a transition"},
		{"/run/mode-controller/desired", "the mode that is wished for; the group modewatch may write it"},
		{"/run/mode-controller/current", "the observed mode; its time is that of the observation"},
		{"/run/mode-controller/state.json", "all that the daemon tells"},
		{"/run/mode-controller/last-transition.json", "the record of the last attempt"},
		{"/var/lib/mode-controller", "the history, and the record that is written ahead of each step"},
	} {
		fmt.Fprintf(&b, ".It Pa %s\n%s\n", f[0], f[1])
	}
	b.WriteString(".El\n.Sh BUS\n.Li org.modewatch1\non the system bus, object\n.Li /org/modewatch1 :\nproperties, signals and commands; polkit says who may command.\n" +
		".Sh JOURNAL\n.Dl journalctl -t modewatch -f\nEach message has a\n.Li MESSAGE_ID\nthat\n.Dl journalctl -x\nexplains, and fields by which it is found, as\n.Dl journalctl -t modewatch MODEWATCH_TO=compute\n.Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n")
	for _, c := range [][2]string{{"0", "the mode is reached, or was already"}, {"10\u201319", "a guard refused; nothing was changed"}, {"20\u201329", "the same guard could not tell; nothing was changed"},
		{"30", "misuse"}, {"31", "force is disabled"}, {"32", "not permitted"}, {"40", "it failed, and the host is back in the prior mode"}, {"41", "it failed, and a person is needed"},
		{"42", "cancelled, or another wish came"}, {"43", "another controller has the lock"}, {"44", "it ran out of time"}, {"1", "anything else"}} {
		fmt.Fprintf(&b, ".It %s\n%s\n", c[0], c[1])
	}
	b.WriteString(".El\n.Sh SEE ALSO\n.Xr busctl 1 ,\n.Xr journalctl 1 ,\n.Xr modewatch.toml 5 ,\n.Xr systemd.target 5 ,\n.Xr polkit 8\n")
	return b.String()
}

func options(b *strings.Builder, set *pflag.FlagSet) {
	if !set.HasFlags() {
		return
	}
	b.WriteString(".Bl -tag -width Ds\n")
	set.VisitAll(func(f *pflag.Flag) {
		value, what := pflag.UnquoteUsage(f)
		if f.Shorthand != "" {
			fmt.Fprintf(b, ".It Fl %s , Fl -%s", f.Shorthand, f.Name)
		} else {
			fmt.Fprintf(b, ".It Fl -%s", f.Name)
		}
		if value != "" && f.NoOptDefVal == "" {
			fmt.Fprintf(b, " Ar %s", value)
		}
		fmt.Fprintf(b, "\n%s", roff(what))
	})
	b.WriteString(".El\n")
}

// configManual makes a page of the reference configuration: what stands before a key
// is about it.
func configManual(toml string) string {
	var b, about strings.Builder
	b.WriteString(head("MODEWATCH.TOML", "5", "configuration of modewatch") + ".Sh DESCRIPTION\nThe file is\n.Pa /etc/modewatch/config.toml .\n")
	open, pending := false, ""
	list := func(want bool) {
		if open != want {
			b.WriteString(map[bool]string{true: ".Bl -tag -width Ds\n", false: ".El\n"}[want])
			open = want
		}
	}
	for line := range strings.Lines(toml) {
		line = strings.TrimRight(line, "\n")
		switch text, comment := strings.CutPrefix(line, "#"); {
		case comment:
			about.WriteString(strings.TrimPrefix(text, " ") + "\n")
		case strings.TrimSpace(line) == "":
			if about.Len() > 0 && pending == "" && !open {
				b.WriteString(roff(about.String()))
				about.Reset()
			}
		case strings.HasPrefix(line, "["):
			list(false)
			fmt.Fprintf(&b, ".Ss %s\n%s", roff(strings.Trim(line, "[]")), roff(about.String()))
			about.Reset()
			pending = ""
		default:
			if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "]") {
				list(true)
				if value = strings.TrimSpace(value); value == "[" || value == "{" {
					value = "see the file"
				}
				pending = strings.TrimSpace(key)
				fmt.Fprintf(&b, ".It Ic %s No = %s\n%s", pending, strings.TrimRight(strings.ReplaceAll(roff(value), `"`, `\(dq`), "\n"), roff(about.String()))
				about.Reset()
			}
		}
	}
	list(false)
	b.WriteString(".Sh SEE ALSO\n.Xr modewatch 8\n")
	return strings.ReplaceAll(b.String(), "\n\n", "\n")
}

func TestManualPagesAreOfTheProgram(t *testing.T) {
	toml, err := os.ReadFile(dist + "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"man/modewatch.8": manual(), "man/modewatch.toml.5": configManual(string(toml))}
	for name, text := range pages {
		paper(t, name, text)
		if _, err := exec.LookPath("mandoc"); err != nil {
			t.Skip("SKIP-REASON: there is no mandoc")
		}
		cmd := exec.Command("mandoc", "-T", "lint", "-W", "warning")
		cmd.Stdin = bytes.NewBufferString(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
