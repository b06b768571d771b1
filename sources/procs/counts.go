package procs

// Counts is what a Watcher has done so far.
type Counts struct {
	Wakes  int64 // how often it was woken, its own pauses left out
	Execs  int64 // programs that were told to start, of interest or not
	Starts int64 // of interest
	Ends   int64 // of processes that were waited for
	Passes int64 // over all processes
	Lost   int64 // how often the kernel had to drop events
}

const (
	wakes = iota
	execsTold
	starts
	ends
	passes
	losses
	countKinds
)

// Counts may be called at any time.
func (w *Watcher) Counts() Counts {
	n := func(kind int) int64 { return w.counts[kind].Load() }
	return Counts{Wakes: n(wakes), Execs: n(execsTold), Starts: n(starts), Ends: n(ends), Passes: n(passes), Lost: n(losses)}
}
