// Command labctl boots a machine of the lab by hand:
//
//	labctl prepare                     make the root that machines are booted from
//	labctl shell [FLAGS]               boot a machine and open a shell in it
//	labctl demo [FLAGS] SCRIPT         boot a machine, run the script file in it with
//	                                   its output live, then open a shell unless -oneshot
//
// The machine is gone when labctl ends, however that comes about.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/modewatch/modewatch/integration/lab"
)

// options are what the flags say.
type options struct {
	lab.Options
	standins, oneshot bool
	sway              string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	var exit *exec.ExitError
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "labctl: interrupted")
		os.Exit(130)
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintf(os.Stderr, "labctl: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "prepare":
		root, err := lab.Root(ctx)
		if err == nil {
			fmt.Println(root)
		}
		return err
	case "shell", "demo":
		o, rest, err := parse(verb, args)
		if err != nil {
			return err
		}
		if want := map[string]int{"shell": 0, "demo": 1}[verb]; len(rest) != want {
			return fmt.Errorf("cannot run %s with %d arguments after the flags: it takes %d", verb, len(rest), want)
		}
		return inMachine(ctx, o, rest)
	}
	return fmt.Errorf("cannot run %q: the commands are prepare, shell and demo", verb)
}

func parse(verb string, args []string) (options, []string, error) {
	var o options
	o.Files = map[string]string{}
	flags := flag.NewFlagSet("labctl "+verb, flag.ContinueOnError)
	flags.Func("install", "lay the `tree` over the root, as make install DESTDIR=TREE made it", add(&o.Install))
	flags.Func("enable", "enable the `unit` before the boot", add(&o.Enable))
	flags.Func("bind", "bind a host's `path` in, as systemd-nspawn --bind", add(&o.Binds))
	flags.Func("file", "put a host's file into the machine, as `PATH=HOSTFILE`", o.addFile)
	flags.BoolVar(&o.standins, "standins", false, "build the stand-ins for vLLM and k3s, into /usr/local/bin")
	flags.StringVar(&o.sway, "sway", "", "log the `user` in with a wayland session")
	flags.BoolVar(&o.oneshot, "oneshot", false, "end after the script")
	err := flags.Parse(args)
	return o, flags.Args(), err
}

func add(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}

func (o *options) addFile(value string) error {
	path, host, found := strings.Cut(value, "=")
	if !found {
		return errors.New("no = in it")
	}
	content, err := os.ReadFile(host)
	o.Files[path] = string(content)
	return err
}

// inMachine boots a machine, runs the script if one is named, and a shell.
func inMachine(ctx context.Context, o options, scripts []string) (err error) {
	if o.standins {
		tree, err := lab.Standins(ctx)
		if err != nil {
			return err
		}
		o.Install = append(o.Install, tree)
	}
	m, err := lab.Start(ctx, o.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Stop()) }()
	if o.sway != "" {
		if _, err := m.StartSway(ctx, o.sway, lab.Sway{}); err != nil {
			return err
		}
	}
	for _, script := range scripts {
		if err := runScript(ctx, m, script); err != nil || o.oneshot {
			return err
		}
	}
	return shell(ctx, m)
}

// runScript runs a host's file in the machine, with its output live.
func runScript(ctx context.Context, m *lab.Machine, file string) error {
	const inside = "/run/lab/script"
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the script: %w", err)
	}
	if err := m.WriteFile(inside, string(content)); err != nil {
		return err
	}
	cmd := m.Command(ctx, "bash", inside)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return live(m, cmd)
}

// shell opens a login shell on a terminal of the machine's own, for as long as the
// user likes.
func shell(ctx context.Context, m *lab.Machine) error {
	cmd := m.Command(ctx, "script", "--quiet", "--command", "bash --login", "/dev/null")
	// In the foreground of our terminal, and so in our own process group.
	cmd.SysProcAttr.Setpgid = false
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGHUP) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := live(m, cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // the last command in the shell failed, which is no news
	}
	return err
}

func live(m *lab.Machine, cmd *exec.Cmd) error {
	if term := os.Getenv("TERM"); term != "" {
		cmd.Env = append(cmd.Env, "TERM="+term)
	}
	if err := m.StartCommand(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
