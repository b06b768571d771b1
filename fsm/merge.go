package fsm

// Merge returns f with the parts that about names taken from g.
func (f Facts) Merge(g Facts, about Subject) Facts {
	pick(about, AboutHost, &f.Host, g.Host)
	pick(about, AboutUnits, &f.Units, g.Units)
	pick(about, AboutSessions, &f.Logins, g.Logins)
	pick(about, AboutStopSets, &f.StopSets, g.StopSets)
	pick(about, AboutAudio, &f.Audio, g.Audio)
	pick(about, AboutGPU, &f.GPU, g.GPU)
	pick(about, AboutLoad, &f.Load, g.Load)
	pick(about, AboutMemory, &f.Memory, g.Memory)
	pick(about, AboutJobs, &f.Jobs, g.Jobs)
	pick(about, AboutInference, &f.Inference, g.Inference)
	pick(about, AboutPlacement, &f.Placement, g.Placement)
	pick(about, AboutInhibitors, &f.Inhibitors, g.Inhibitors)
	pick(about, AboutSite, &f.Site, g.Site)
	pick(about, AboutBudgets, &f.Budgets, g.Budgets)
	pick(about, AboutHolds, &f.Holds, g.Holds)
	pick(about, AboutIdle, &f.Idle, g.Idle)
	pick(about, AboutWorkers, &f.Workers, g.Workers)
	f.At = g.At
	return f
}

// Looked names the parts that were looked at, also those that could not be read.
func (f Facts) Looked() (about Subject) {
	looked(&about, AboutHost, f.Host)
	looked(&about, AboutUnits, f.Units)
	looked(&about, AboutSessions, f.Logins)
	looked(&about, AboutStopSets, f.StopSets)
	looked(&about, AboutAudio, f.Audio)
	looked(&about, AboutGPU, f.GPU)
	looked(&about, AboutLoad, f.Load)
	looked(&about, AboutMemory, f.Memory)
	looked(&about, AboutJobs, f.Jobs)
	looked(&about, AboutInference, f.Inference)
	looked(&about, AboutPlacement, f.Placement)
	looked(&about, AboutInhibitors, f.Inhibitors)
	looked(&about, AboutSite, f.Site)
	looked(&about, AboutBudgets, f.Budgets)
	looked(&about, AboutHolds, f.Holds)
	looked(&about, AboutIdle, f.Idle)
	looked(&about, AboutWorkers, f.Workers)
	return about
}

func looked[T any](about *Subject, this Subject, r Reading[T]) {
	if r.OK || r.Cause != "" {
		*about |= this
	}
}

func pick[T any](about, this Subject, to *Reading[T], from Reading[T]) {
	if about&this != 0 {
		*to = from
	}
}
