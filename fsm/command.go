package fsm

// The verbs of a command.
const (
	VerbRequest   = "request"
	VerbForce     = "force" // a request that asks to pass over soft guards (D15)
	VerbReconcile = "reconcile"
	VerbCancel    = "cancel"
)

// Command is what a client asks of the daemon, by the spool or over the bus (D4, D18).
type Command struct {
	Verb string
	Mode Mode   // of VerbRequest and VerbForce; empty otherwise
	ID   string // letters, digits and hyphens; becomes the id of the wish
	By   Caller
}
