package journal

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// kinds groups the IDs by the record that carries them, with the fields that
// the catalogue may use because every such record has them.
var kinds = []struct {
	name   string
	ids    []MessageID
	fields string
}{
	{"edge", values(Edges), "FROM TO CAUSE"},
	{"attempt begun", []MessageID{AttemptBegun}, "ATTEMPT FROM TO REASON WISH"},
	{"attempt ended", values(Outcomes), "ATTEMPT FROM TO REASON WISH OUTCOME CAUSE"},
	{"guard", []MessageID{GuardBlocked}, "ATTEMPT GUARD CODE CAUSE"},
	{"step begun", []MessageID{StepBegun}, "ATTEMPT STEP"},
	{"step ended", []MessageID{StepEnded}, "ATTEMPT STEP OUTCOME CAUSE"},
	{"note", values(Notes), "CAUSE"},
}

func values[K comparable](m map[K]MessageID) []MessageID {
	out := slices.Collect(maps.Values(m))
	slices.Sort(out)
	return slices.Compact(out)
}

func TestEveryNameHasAnID(t *testing.T) {
	for _, e := range fsm.Events() {
		if Edges[e] == "" {
			t.Errorf("event %s has no message id", e)
		}
	}
	for _, o := range fsm.Outcomes {
		if Outcomes[o] == "" {
			t.Errorf("outcome %s has no message id", o)
		}
	}
	if len(Edges) != len(fsm.Events()) || len(Outcomes) != len(fsm.Outcomes) {
		t.Error("a map holds a name that fsm does not have")
	}
}

func TestIDsAreDistinctHex(t *testing.T) {
	hex := regexp.MustCompile(`^[0-9a-f]{32}$`)
	owner := map[MessageID]string{}
	for _, kind := range kinds {
		for _, id := range kind.ids {
			if !hex.MatchString(string(id)) {
				t.Errorf("%s: %q is not 128 bits in lower-case hex", kind.name, id)
			}
			if other, taken := owner[id]; taken {
				t.Errorf("%s and %s share %s", kind.name, other, id)
			}
			owner[id] = kind.name
		}
	}
	// One per outcome and per note, six edges, four kinds of one.
	if want := 6 + 1 + len(Outcomes) + 1 + 2 + len(Notes); len(owner) != want {
		t.Errorf("%d distinct ids, want %d", len(owner), want)
	}
}

func TestCatalogueAgreesWithIDs(t *testing.T) {
	entries := readCatalogue(t)
	for _, kind := range kinds {
		for _, id := range kind.ids {
			text, ok := entries[id]
			if !ok {
				t.Errorf("the catalogue does not explain %s %s", kind.name, id)
				continue
			}
			delete(entries, id)
			checkEntry(t, id, text, strings.Fields(kind.fields))
		}
	}
	for id := range entries {
		t.Errorf("the catalogue explains %s, which nothing sends", id)
	}
}

// checkEntry wants a subject and a body, and no field that the record may lack:
// the journal would print the field's bare name instead.
func checkEntry(t *testing.T, id MessageID, text string, fields []string) {
	t.Helper()
	head, body, ok := strings.Cut(text, "\n\n")
	if !ok || !strings.HasPrefix(head, "Subject: ") || strings.TrimSpace(body) == "" {
		t.Errorf("%s: no subject or no explanation", id)
	}
	for _, m := range regexp.MustCompile(`@([A-Z_]+)@`).FindAllStringSubmatch(text, -1) {
		if name, ours := strings.CutPrefix(m[1], "MODEWATCH_"); !ours || !slices.Contains(fields, name) {
			t.Errorf("%s: uses @%s@, which its records need not carry", id, m[1])
		}
	}
}

func readCatalogue(t *testing.T) map[MessageID]string {
	t.Helper()
	data, err := os.ReadFile("../../dist/catalog/modewatch.catalog")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[MessageID]string{}
	for _, part := range strings.Split(string(data), "\n-- ")[1:] {
		id, text, _ := strings.Cut(part, "\n")
		if _, twice := entries[MessageID(id)]; twice {
			t.Errorf("the catalogue explains %s twice", id)
		}
		entries[MessageID(id)] = text
	}
	return entries
}
