// Package journal tells the story to the journal: every fsm.Record becomes one
// entry with structured fields and a MESSAGE_ID, so that "journalctl -x"
// explains it and "journalctl MESSAGE_ID=…" finds all of its kind.
package journal

import "github.com/modewatch/modewatch/fsm"

// MessageID is the value of an entry's MESSAGE_ID: 128 bits in lower-case hex.
// An ID is never used again for another meaning.
//
// dist/catalog/modewatch.catalog explains each of them and uses these fields,
// which the entries must therefore carry:
//
//	edges            MODEWATCH_FROM, _TO (states), _CAUSE
//	attempt begun    MODEWATCH_ATTEMPT, _FROM, _TO (modes), _REASON, _WISH
//	attempt ended    the same, _OUTCOME, _CAUSE
//	guard            MODEWATCH_ATTEMPT, _GUARD, _CODE, _CAUSE
//	step begun       MODEWATCH_ATTEMPT, _STEP
//	step ended       the same, _OUTCOME (the step's result), _CAUSE
//	notes            MODEWATCH_CAUSE
//
// _REASON is why the wish exists (fsm.Reason), _WISH its id, _CAUSE what was
// found or went wrong: the verdict's reason, the step's cause, the note's text.
type MessageID string

// The edges of the state table, by what happened.
const (
	EdgeAdopt   MessageID = "72066e105d2c497d9ffb93260d4d4575"
	EdgeBegin   MessageID = "5d341e16d6b74c84a4d437175916d99a"
	EdgeReached MessageID = "d40e349639eb479d97e5d6d9ab2939db"
	EdgeFail    MessageID = "9c695df52af14324ae256fd799a12134"
	EdgeRecover MessageID = "56bd6a5977234a828eb292949d12eec4"
	EdgeDrift   MessageID = "515fcfd5f7134fb5b95660461e1ee5ce"
)

// An attempt's beginning, and its end by outcome (D6).
const (
	AttemptBegun       MessageID = "4478375890a24f5db5833b42a19de8ed"
	AttemptReached     MessageID = "4f2ef077376c4826ae341e693f81a54c"
	AttemptNoop        MessageID = "a3c56ff9c2ba487fabf03e965dcbdc03"
	AttemptBlocked     MessageID = "79e26699dff24da9a5809baf102ebae3"
	AttemptCancelled   MessageID = "158883e376d7416f93cc07ee27d30820"
	AttemptSuperseded  MessageID = "b3ddaa382f884b0b9b6ea9b4fb2382e1"
	AttemptRecovered   MessageID = "7850ac7b66ae4a96a3659aa722fe3a69"
	AttemptDegraded    MessageID = "187517818641497ea48271ffe8639135"
	AttemptFailed      MessageID = "ee76bab7be6a4f958ea6e878f50c60fa"
	AttemptInterrupted MessageID = "fbdbc5ca13ff45a090ae85c019e14c30"
)

// What happens within an attempt.
const (
	GuardBlocked MessageID = "9c081455a8c04584a1f437ee9f0216b8"
	StepBegun    MessageID = "d45ea2fdfae049928ca75ea5fda65163"
	StepEnded    MessageID = "9c3b828f95c24620a03bdecc43e94ea5"
)

// What happens outside attempts, by the word of the note.
const (
	WishRefused       MessageID = "caf5f0f16337437ab265e73708bcd715"
	GateClosed        MessageID = "5f6dbe981d974aae87677417a8047401"
	ObservationFailed MessageID = "00e851a44c6f4420ab23ee5daf77296d"
	HostDegraded      MessageID = "47218717cf1242ac96e0b050a097dc64"
	TableRefused      MessageID = "7dcd692db62b43868aa4c388eed59b42"
	ConfigNoted       MessageID = "cd0178e34152461ab7c6b128ad5cc035"
	SourceNoted       MessageID = "0024c6fda7234620a97629b407925b45"
)

// Edges holds the ID of every event of the table.
var Edges = map[fsm.Event]MessageID{
	fsm.AdoptMode(fsm.Desktop):         EdgeAdopt,
	fsm.AdoptMode(fsm.StudioLocal):     EdgeAdopt,
	fsm.AdoptMode(fsm.Compute):         EdgeAdopt,
	fsm.Begin:                          EdgeBegin,
	fsm.ReachedMode(fsm.Desktop):       EdgeReached,
	fsm.ReachedMode(fsm.StudioLocal):   EdgeReached,
	fsm.ReachedMode(fsm.Compute):       EdgeReached,
	fsm.Fail:                           EdgeFail,
	fsm.RecoveredMode(fsm.Desktop):     EdgeRecover,
	fsm.RecoveredMode(fsm.StudioLocal): EdgeRecover,
	fsm.RecoveredMode(fsm.Compute):     EdgeRecover,
	fsm.DriftedTo(fsm.Desktop):         EdgeDrift,
	fsm.DriftedTo(fsm.StudioLocal):     EdgeDrift,
	fsm.DriftedTo(fsm.Compute):         EdgeDrift,
}

// Outcomes holds the ID of an attempt's end by its outcome.
var Outcomes = map[fsm.Outcome]MessageID{
	fsm.Reached:     AttemptReached,
	fsm.Noop:        AttemptNoop,
	fsm.Blocked:     AttemptBlocked,
	fsm.Cancelled:   AttemptCancelled,
	fsm.Superseded:  AttemptSuperseded,
	fsm.Recovered:   AttemptRecovered,
	fsm.Degraded:    AttemptDegraded,
	fsm.Failed:      AttemptFailed,
	fsm.Interrupted: AttemptInterrupted,
}

// Notes holds the ID of a note by its word, fsm.Note.What.
var Notes = map[string]MessageID{
	fsm.NoteBadWish:    WishRefused,
	fsm.NoteGate:       GateClosed,
	fsm.NoteUnreadable: ObservationFailed,
	fsm.NoteDegraded:   HostDegraded,
	fsm.NoteTable:      TableRefused,
	fsm.NoteConfig:     ConfigNoted,
	fsm.NoteSource:     SourceNoted,
}
