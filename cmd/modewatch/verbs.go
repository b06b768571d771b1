package main

import "github.com/spf13/pflag"

// verbs is the table of everything that can be asked of modewatch. It is a
// function, so that no command pays for building what it does not use.
func verbs() []verb {
	return []verb{
		{name: "status", summary: "show state, wish, attempt and what is in the way", read: true, spec: 1, flags: plain(runStatus),
			long: `Shows what mode this host is in and why that is known, what is wished for and
by whom, whether both agree, the attempt under way or the last one, and, if the
wish is not met, what keeps the host from it now.`},
		{name: "request", args: "MODE", min: 1, max: 1, summary: "wish for a mode and follow the transition to its end", read: true, spec: 2, flags: requestVerb,
			long: `Hands the wish to the daemon. Without a daemon mode-controller@MODE.service is
started, since the attempt may end the session that asks for it. What is under
way is shown on standard error, the end on standard output. With --json the
end is the record of the attempt.

Ctrl-C leaves the attempt alone and exits with 130.`},
		{name: "cancel", summary: "take the attempt under way back", read: true, flags: plain(runCancel),
			long: `The attempt stops at its next step, and the steps done so far are taken back.
After the point of no return a session that has ended does not come back.`},
		{name: "reconcile", summary: "try again to bring this host to what is wished for", read: true, spec: 3, flags: reconcileVerb,
			long: `Makes a new attempt towards the mode that stands in the file desired, as after
a refusal whose cause is gone.`},
		{name: "why", args: "[MODE]", max: 1, summary: "tell what keeps this host from a mode, and what to do", read: true, flags: plain(runWhy),
			long: `Lists each guard that refuses now, the weightiest first, with its cause and
what can be done about it. Without MODE it is about the mode that is wished
for. Exits as the request would.`},
		{name: "dry-run", args: "[MODE]", max: 1, summary: "show every step of a transition without doing any", read: true, spec: 7, flags: plain(runDryRun),
			long: `Makes the plan that a request would follow, judges its guards and prints both,
with what the isolate would stop. Nothing is changed. Without MODE it is about
the mode that is wished for. Exits as the request would, as far as can be seen.`},
		{name: "explain", args: "MODE", min: 1, max: 1, summary: "tell what a mode means on this host", read: true, spec: 6, flags: plain(runExplain),
			long: `Tells the target, services, budgets and owners of a mode, the guards before
it, where the studio is placed, and what isolating its target would stop now.`},
		{name: "hold", args: "[-- COMMAND...]", max: 1 << 20, summary: "keep this host in its mode while a command runs, or for a time", flags: holdVerb,
			long: `While COMMAND runs, or for the time of --for, every transition is refused and
tells why. The hold dies with this process, and is listed by status. Exits as
COMMAND does.

    modewatch hold --why rendering -- blender -b film.blend -a
    modewatch hold --why "guests" --for 2h`},
		{name: "history", summary: "list the attempts on record", read: true, flags: historyVerb},
		{name: "timeline", summary: "draw the modes of the last day, with the attempts and how they ended", read: true, flags: timelineVerb,
			long: `As text, or with --format svg as a picture. What the record does not tell, such
as a change by hand, shows where the next attempt begins.`},
		{name: "report", summary: "tell by the record whether compute should become a specialisation", read: true, flags: reportVerb,
			long: `Judges the four conditions of section 26.2 of the specification by the attempts
on record. Two that hold ask for a specialisation of its own.`},
		{name: "graph", summary: "draw the state machine, with the current state marked", flags: graphVerb,
			long: `As Mermaid, or with --format svg as a picture.`},
		{name: "state", summary: "print the controller's state, in milliseconds", read: true, flags: stateVerb,
			long: `Prints boot, desktop, studio-local, compute, transitioning or
failed-transition. It answers at once, also while a step hangs. Without a
controller the host is observed.

With --follow a line is printed at each change, a JSON document each with
--json. --format waybar is for a custom module of waybar (docs/desktop.md).`},
		{name: "notify", summary: "show transitions on this desktop, until Ctrl-C", read: true, flags: plain(runNotify),
			long: `Shows a notice before a transition, keeps it at the step that is done, and tells
how it ended, with what stood in the way. Until the point of no return the notice
has a button that cancels. In each session of yours:

    systemctl --user enable --now modewatch-notify.service`},
		{name: "wait-for", args: "MODE", min: 1, max: 1, summary: "wait until this host rests in a mode", read: true, flags: waitForVerb,
			long: `Returns once the mode is observed and nothing is under way, whoever wished for
it; exits with 44 if that takes longer than --timeout.`},
		{name: "current", summary: "print the observed mode", read: true, spec: 4, flags: plain(runCurrent),
			long: `Prints desktop, studio-local or compute; transitioning while an attempt is
under way, failed-transition after one that left the host out of order, unknown
if the host cannot be read (exit code 1).`},
		{name: "desired", summary: "print the mode that is wished for", read: true, spec: 5, flags: plain(runDesired),
			long: `Prints what stands in the file desired. Exits with 1 if there is no wish.`},
		{name: "observe", summary: "look at the host afresh and tell everything seen", read: true, flags: plain(runObserve),
			long: `Asks every probe and prints what it found, or why it could not. As root, while
no controller runs, it also refreshes the file current.`},
		{name: "guard", args: "[NAME]", max: 1, summary: "judge one guard, or list them all", read: true, flags: guardVerb,
			long: `Judges one guard and exits with its code: 0 passes, 10-19 blocks, 20-29 cannot
tell. On a terminal it answers in words, elsewhere or with --json with one line
of JSON. Each guard is also a program of its own name.

Without --to a guard judges the host as it stands, for the mode it watches over.`},
		{name: "doctor", summary: "look at all that a safe transition needs, and tell what to do", read: true, flags: plain(runDoctor),
			long: `A line for each: ok, warn or fail, what was found, and what to do about it. Exits
with 1 if anything fails. As root it sees more.`},
		{name: "config-check", args: "[FILE]", max: 1, summary: "tell every error of the configuration, or sum it up", read: true, flags: plain(runConfigCheck),
			long: `Exits with 30 if the configuration is not valid.`},
		{name: "force", args: "MODE", min: 1, max: 1, summary: "request a mode past soft guards, where that is enabled", read: true, spec: 8, flags: forceVerb,
			long: `Refused with exit code 31 unless the configuration says force.enabled. Hard
guards are never passed over.`},
		{name: "run", summary: "be the daemon", flags: plain(func(e env, _ []string) (int, error) { return runDaemon(e), nil }),
			long: `Started by modewatch.service.`},
		{name: "demo", summary: "play scenes on a host in memory, with the real engine", flags: demoVerb,
			long: `Nothing of this machine is looked at or changed, and no privilege is needed.`},
		{name: "version", summary: "print the version and what it was built from", read: true, flags: plain(runVersion)},
		{name: "help", args: "[VERB]", max: 1, summary: "print this, or how a verb is used", flags: plain(runHelp)},
		{name: "observe-current", summary: "print the observed mode, always afresh", read: true, hidden: true, flags: plain(runObserveCurrent),
			long: `The program of section 23.3 of the specification: a plain mode name, or with
--json the evidence.`},
	}
}

// plain is a verb without flags of its own.
func plain(run runner) func(*pflag.FlagSet) runner {
	return func(*pflag.FlagSet) runner { return run }
}
