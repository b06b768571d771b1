// Package soak proves the engine by random trials: the real engine, table, plans
// and guards on the host in memory of internal/sim, with wishes, changes of the
// world, faults of operations and probes, cancels, deaths of the controller and
// reboots, all from one seed, and with invariants that are checked at every step.
// It holds tests alone:
//
//	go test ./internal/soak                                    # some seconds
//	go test ./internal/soak -run TestTrials -args -for 1h      # as make soak
//	go test ./internal/soak -run TestSeed -v -args -seed 42    # one, told line by line
//	go test ./internal/soak -run TestScenario$ -v -args -scenario testdata/scenarios/X.json
//
// Half of the trials aim at one triple each of a plan, a step and what goes wrong with
// it; the others leave it to chance. What shows a violation is made smaller and kept in
// testdata/scenarios, where it stays as a test: say there what it shows.
//
// A trial is a function of its seed as far as the schedule goes: faults, deaths and
// changes are bound to the n-th call or step, not to a time. Where two goroutines of
// the engine are ready at the same instant the order is the scheduler's.
package soak
