package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

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
	b.WriteString("# Completion of modewatch for bash. Made from its verbs: see cmd/modewatch/completions_test.go.\n\n" +
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
	b.WriteString("# Completion of modewatch for fish. Made from its verbs: see cmd/modewatch/completions_test.go.\n\n")
	b.WriteString("complete -c mode -w modewatch\ncomplete -c modewatch -f\n")
	for _, o := range offers() {
		fmt.Fprintf(&b, "complete -c modewatch -n __fish_use_subcommand -a %s -d %s\n", o.name, quoted(o.summary))
		after := quoted("__fish_seen_subcommand_from " + o.name)
		if len(o.words) > 0 {
			fmt.Fprintf(&b, "complete -c modewatch -n %s -a %s\n", after, quoted(strings.Join(o.words, " ")))
		}
		for _, f := range o.flags {
			_, what := pflag.UnquoteUsage(f)
			fmt.Fprintf(&b, "complete -c modewatch -n %s -l %s", after, f.Name)
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
	return b.String()
}

func zsh() string {
	var b strings.Builder
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`)
	b.WriteString("#compdef modewatch mode\n# Completion of modewatch for zsh. Made from its verbs: see cmd/modewatch/completions_test.go.\n\n" +
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
