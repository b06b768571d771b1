package fsm

import "time"

// Hold is somebody's wish that this host stay in the mode it is in. It lasts as
// long as the process that made it, or until a time.
type Hold struct {
	ID    string    `json:"id"`
	Why   string    `json:"why"`
	By    Caller    `json:"by"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: as long as the process of By
	// Client is the connection to the bus that it was made by, "" if by file.
	Client string `json:"-"`
}

func (h Hold) String() string { return h.Why + ", held by " + h.By.String() }
