// Command spawn runs two commands in turns and prints what each run took, from
// fork to exit, in nanoseconds: a line for each pair.
//
//	spawn N COMMAND [ARG]... -- COMMAND [ARG]...
//
// Both get /dev/null for their files. A command that fails ends it.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "spawn:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	cut := slices.Index(args, "--")
	if len(args) < 4 || cut < 2 || cut == len(args)-1 {
		return errors.New("usage: spawn N COMMAND [ARG …] -- COMMAND [ARG …]")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for range n {
		one, err := took(null, args[1:cut])
		if err != nil {
			return err
		}
		other, err := took(null, args[cut+1:])
		if err != nil {
			return err
		}
		fmt.Println(one.Nanoseconds(), other.Nanoseconds())
	}
	return nil
}

// took runs a command and returns how long that took.
func took(null *os.File, command []string) (time.Duration, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return 0, err
	}
	began := time.Now()
	p, err := os.StartProcess(path, command, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{null, null, null}})
	if err != nil {
		return 0, fmt.Errorf("cannot run %q: %w", command, err)
	}
	state, err := p.Wait()
	end := time.Since(began)
	if err == nil && !state.Success() {
		err = fmt.Errorf("%q: %s", command, state)
	}
	return end, err
}
