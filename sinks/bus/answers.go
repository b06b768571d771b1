package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const (
	answerWithin = 20 * time.Second
	answerFor    = time.Second // so long an answer serves others too
)

// answers are documents that take a look at the host: whoever asks for the same at the
// same time shares one look, and one look is taken after the other.
type answers struct {
	mu   sync.Mutex
	kept map[string]kept
}

type kept struct {
	text []byte
	err  error
	at   time.Time
}

// get returns the document of a verb.
func (a *answers) get(d Daemon, verb string, args ...string) ([]byte, error) {
	key := verb + " " + strings.Join(args, " ")
	asked := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if k, ok := a.kept[key]; ok && asked.Sub(k.at) < answerFor {
		return k.text, k.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	text, err := d.Ask(ctx, verb, args...)
	if a.kept == nil {
		a.kept = map[string]kept{}
	}
	a.kept[key] = kept{text, err, time.Now()}
	return text, err
}

// verdictsIn reads the verdicts of a dry-run.
func verdictsIn(text string) ([]fsm.Verdict, error) {
	var doc struct {
		Guards []fsm.Verdict `json:"guards"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("cannot read the verdicts: %w", err)
	}
	return doc.Guards, nil
}
