//go:build cgo

// Command modewatch-gpu asks NVML once who is on the NVIDIA GPUs and prints one
// JSON document (package report), installed as libexec/modewatch/gpu-probe. It
// is a program of its own because calls of NVML may hang in the driver and cannot
// be cancelled, because a library that lacks a function ends the process, and
// because a handle that stays open keeps a GPU awake (D16). It exits 0 with an
// answer, 1 with a document that says why there is none, 2 if misused.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/sources/gpu/report"
)

// version is set by the build.
var version = "dev"

// The exit codes.
const (
	exitAnswered = 0
	exitNoAnswer = 1
	exitMisuse   = 2
)

func init() { runtime.LockOSThread() } // the signal of a parent's death belongs to this thread

func main() {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "modewatch-gpu: cannot ask for the signal of the parent's death:", err)
		os.Exit(exitNoAnswer)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("modewatch-gpu", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	library := flags.String("library", "", "load NVML from `PATH` alone, instead of where drivers put it")
	told := flags.Bool("version", false, "print the version")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: modewatch-gpu [--library PATH]")
		return exitMisuse
	}
	if *told {
		fmt.Fprintln(stdout, version)
		return exitAnswered
	}
	paths := places
	if *library != "" {
		paths = []string{*library}
	}
	doc := ask(paths)
	if err := doc.Encode(stdout); err != nil {
		fmt.Fprintln(stderr, "modewatch-gpu: cannot print:", err)
		return exitNoAnswer
	}
	if doc.Error != nil {
		return exitNoAnswer
	}
	return exitAnswered
}

// ask opens the library, asks, and closes it.
func ask(paths []string) report.Document {
	l, failure := open(paths)
	if failure != nil {
		return report.Document{Error: failure}
	}
	doc, failure := l.look()
	if late := l.close(); failure == nil {
		failure = late
	}
	if failure != nil {
		return report.Document{Error: failure}
	}
	return doc
}
