package audio

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind, but for the player's of the lab: its library
// hands on that a stream has begun for ever, where nobody waits for that.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/jfreymuth/pulse.NewClient.func1"))
}
