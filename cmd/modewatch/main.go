// Command modewatch is the daemon that moves a host between its modes, and the
// one tool to ask it, watch it and look behind it (specification section 20).
//
// This package wires and prints; what is decided is decided in fsm and guards,
// and what is done is done by internal/engine. There is one file for each verb.
package main

import (
	"os"
	"time"
)

func main() {
	e := env{stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, host: liveHost, once: runOnce,
		start: startService, stop: stopService, every: time.Second, grace: 10 * time.Second}
	os.Exit(e.command(os.Args[0], os.Args[1:]))
}
