package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// The completions and manual pages in dist are made here from the table of the verbs
// and the reference configuration; go test -update writes them anew.

const dist = "../../dist/"

// paper holds a text against a file of dist.
func paper(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(dist+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dist+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(dist + name)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the verbs and the configuration make; if they are meant, run go test -update (%v)", name, err)
	}
}

// offer is what is completed after a verb.
type offer struct {
	verb
	words []string // of its first argument
	flags []*pflag.Flag
}

func offers() (all []offer) {
	for _, v := range listedVerbs(false) {
		o := offer{verb: v}
		switch {
		case strings.Contains(v.args, "MODE"):
			for _, m := range fsm.Modes {
				o.words = append(o.words, string(m))
			}
		case v.name == "guard":
			for _, g := range guards.All {
				o.words = append(o.words, g.Name)
			}
		case v.name == "help":
			for _, other := range listedVerbs(false) {
				o.words = append(o.words, other.name)
			}
		}
		set := env{prog: "modewatch"}.globalFlags()
		v.flags(set)
		set.VisitAll(func(f *pflag.Flag) {
			if f.Name != "json" || v.read {
				o.flags = append(o.flags, f)
			}
		})
		all = append(all, o)
	}
	return all
}

// values are the words that a flag takes, if they are few and known.
func values(verb string, f *pflag.Flag) string {
	switch f.Name {
	case "format":
		return map[string]string{"graph": "mermaid svg", "timeline": "text svg", "state": "plain json waybar"}[verb]
	case "to":
		return "desktop studio-local compute"
	}
	return ""
}

func flagNames(flags []*pflag.Flag) (out []string) {
	for _, f := range flags {
		out = append(out, "--"+f.Name)
	}
	return out
}

func bash() string {
	var b strings.Builder
	b.WriteString("# Completion of modewatch for bash. Made from its verbs: see cmd/modewatch/paper_test.go.\n\n" +
		"_modewatch() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' words='' flags='' i\n" +
		"\tCOMPREPLY=()\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t--config | --run-dir | --lib-dir) ((i++)) ;;\n" +
		"\t\t--) return ;;\n\t\t-*) ;;\n\t\t*)\n\t\t\tverb=${COMP_WORDS[i]}\n\t\t\tbreak\n\t\t\t;;\n\t\tesac\n\tdone\n\tcase $prev in\n" +
		"\t--config | --run-dir | --lib-dir)\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\t\treturn\n\t\t;;\n" +
		"\tesac\n\tcase $verb in\n")
	var verbs []string
	for _, o := range offers() {
		verbs = append(verbs, o.name)
		fmt.Fprintf(&b, "\t%s)\n\t\tflags='%s'\n", o.name, strings.Join(flagNames(o.flags), " "))
		fmt.Fprintf(&b, "\t\twords='%s'\n", strings.Join(o.words, " "))
		for _, f := range o.flags {
			if v := values(o.name, f); v != "" {
				fmt.Fprintf(&b, "\t\t[[ $prev == --%s ]] && words='%s'\n", f.Name, v)
			}
		}
		b.WriteString("\t\t;;\n")
	}
	fmt.Fprintf(&b, "\t'') words='%s' flags='%s --help --version' ;;\n\tesac\n", strings.Join(verbs, " "), strings.Join(globals(), " "))
	b.WriteString("\t[[ $cur == -* ]] && words=$flags\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\ncomplete -F _modewatch modewatch mode\n")
	return b.String()
}

func globals() (out []string) {
	env{}.globalFlags().VisitAll(func(f *pflag.Flag) { out = append(out, "--"+f.Name) })
	return out
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func fish() string {
	var b strings.Builder
	b.WriteString("# Completion of modewatch for fish. Made from its verbs: see cmd/modewatch/paper_test.go.\n\n")
	for _, c := range []string{"modewatch", "mode"} {
		fmt.Fprintf(&b, "complete -c %s -f\n", c)
		for _, o := range offers() {
			fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", c, o.name, quoted(o.summary))
			after := quoted("__fish_seen_subcommand_from " + o.name)
			if len(o.words) > 0 {
				fmt.Fprintf(&b, "complete -c %s -n %s -a %s\n", c, after, quoted(strings.Join(o.words, " ")))
			}
			for _, f := range o.flags {
				_, what := pflag.UnquoteUsage(f)
				fmt.Fprintf(&b, "complete -c %s -n %s -l %s", c, after, f.Name)
				if f.Shorthand != "" {
					fmt.Fprintf(&b, " -s %s", f.Shorthand)
				}
				switch v := values(o.name, f); {
				case v != "":
					fmt.Fprintf(&b, " -x -a %s", quoted(v))
				case f.NoOptDefVal == "":
					b.WriteString(" -r")
				}
				fmt.Fprintf(&b, " -d %s\n", quoted(what))
			}
		}
	}
	return b.String()
}

func zsh() string {
	var b strings.Builder
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`)
	b.WriteString("#compdef modewatch mode\n# Completion of modewatch for zsh. Made from its verbs: see cmd/modewatch/paper_test.go.\n\n" +
		"_modewatch() {\n\tlocal -a verbs\n\tlocal verb\n\tverbs=(\n")
	for _, o := range offers() {
		fmt.Fprintf(&b, "\t\t'%s:%s'\n", o.name, escape.Replace(o.summary))
	}
	b.WriteString("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe verb verbs\n\t\treturn\n\tfi\n\tverb=$words[2]\n\tshift words\n\t((CURRENT--))\n\tcase $verb in\n")
	for _, o := range offers() {
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments", o.name)
		for _, f := range o.flags {
			value, what := pflag.UnquoteUsage(f)
			spec := "--" + f.Name + "[" + escape.Replace(what) + "]"
			switch {
			case values(o.name, f) != "":
				spec += ":" + value + ":(" + values(o.name, f) + ")"
			case f.NoOptDefVal == "":
				spec += ":" + value + ":_files"
			}
			fmt.Fprintf(&b, " \\\n\t\t\t'%s'", spec)
		}
		if len(o.words) > 0 {
			fmt.Fprintf(&b, " \\\n\t\t\t'1:%s:(%s)'", strings.ToLower(strings.Trim(o.args, "[]")), strings.Join(o.words, " "))
		}
		b.WriteString("\n\t\t;;\n")
	}
	b.WriteString("\tesac\n}\n_modewatch \"$@\"\n")
	return b.String()
}

func TestCompletionsAreOfTheVerbs(t *testing.T) {
	paper(t, "completions/modewatch.bash", bash())
	paper(t, "completions/modewatch.fish", fish())
	paper(t, "completions/_modewatch", zsh())
}

// completed are the words that a shell offers at the end of a line.
var completed = map[string]string{
	"modewatch req":               "request",
	"modewatch request ":          "compute desktop studio-local",
	"modewatch request s":         "studio-local",
	"modewatch guard check_a":     "check_audio_idle",
	"mode request d":              "desktop",
	"modewatch state --fo":        "--follow --format",
	"modewatch state --format w":  "waybar",
	"modewatch wait-for c":        "compute",
	"modewatch --run-dir /x curr": "current",
}

func TestBashCompletes(t *testing.T) {
	for line, want := range completed {
		script := `source ../../dist/completions/modewatch.bash; read -ra COMP_WORDS <<<"$1"; [[ $1 == *' ' ]] && COMP_WORDS+=('');` +
			`COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _modewatch; printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '`
		out, err := exec.Command("bash", "-c", script, "bash", line).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q completes to %q, want %q (%v)", line, got, want, err)
		}
	}
	if out, err := exec.Command("shellcheck", "-s", "bash", dist+"completions/modewatch.bash").CombinedOutput(); err != nil && !strings.Contains(err.Error(), "not found") {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

func TestFishCompletes(t *testing.T) {
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skip("SKIP-REASON: there is no fish")
	}
	for line, want := range completed {
		if strings.Contains(line, "--run-dir") {
			continue // fish takes the value of an option before the verb for the verb
		}
		out, err := exec.Command("fish", "--no-config", "-c", "source ../../dist/completions/modewatch.fish; complete -C "+quoted(line)).Output()
		var got []string
		for l := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, word)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q completes to %q, want %q (%v)", line, got, want, err)
		}
	}
}

// zsh completes on a terminal of its own alone. There Tab completes, keeps the line and
// ends the shell.
const zpty = `zmodload zsh/zpty; zpty z zsh -fi
zpty -w z 'fpath=(%s $fpath); autoload -U compinit; compinit -u -d %s'
zpty -w z 'tab() { zle complete-word; print -r -- "$BUFFER" >%s; exit }; zle -N tab; bindkey "^I" tab; echo rea""dy'
zpty -r -m z l '*ready*'; zpty -w -n z %s$'\t'; while zpty -r z l; do :; done`

func TestZshCompletes(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("SKIP-REASON: there is no zsh")
	}
	folder, err := filepath.Abs(dist + "completions")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"modewatch req": "modewatch request ", "modewatch request s": "modewatch request studio-local ",
		"modewatch guard check_au": "modewatch guard check_audio_idle ", "mode request d": "mode request desktop ", "modewatch state --foll": "modewatch state --follow "} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, "zsh", "-f", "-c", fmt.Sprintf(zpty, folder, dir+"/dump", dir+"/line", quoted(line))).CombinedOutput()
		cancel()
		got, unread := os.ReadFile(dir + "/line")
		if strings.TrimSuffix(string(got), "\n") != want || unread != nil {
			t.Errorf("%q completes to %q, want %q (%v)\n%s", line, got, want, err, out)
		}
	}
}

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
	return ".\\\" Made by cmd/modewatch/paper_test.go.\n.Dd November 24, 2026\n.Dt " + name + " " + section + "\n.Os\n.Sh NAME\n.Nm " + strings.ToLower(name) + "\n.Nd " + what + "\n"
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
