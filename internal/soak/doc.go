// Package soak proves the engine by random trials: the real engine, table, plans
// and guards on the host in memory of internal/sim, with wishes, changes of the
// world, faults of operations and probes, cancels, deaths of the controller and
// reboots, all from one seed, and with invariants that are checked at every step.
// It holds tests alone:
//
//	go test ./internal/soak                                    # some seconds
//	go test ./internal/soak -run TestTrials -args -for 1h      # as make soak
//	go test ./internal/soak -run TestSeed -v -args -seed 42    # one, told line by line
//
// A trial is a function of its seed as far as the schedule goes: faults, deaths and
// changes are bound to the n-th call or step, not to a time. Where two goroutines of
// the engine are ready at the same instant the order is the scheduler's.
package soak
