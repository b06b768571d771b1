package journal

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/journal.md"

// docs/journal.md tells every field that entry.go adds, and no other.
func TestFieldsAreDocumented(t *testing.T) {
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `MODEWATCH_([A-Z_]+)` \\|").FindAllStringSubmatch(read(t, page), -1) {
		told[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`"([A-Z][A-Z_]*)"`).FindAllStringSubmatch(read(t, "entry.go"), -1) {
		if _, ok := told[m[1]]; !ok {
			t.Errorf("%s does not tell MODEWATCH_%s", page, m[1])
		}
		told[m[1]] = false
	}
	for name, lacks := range told {
		if lacks {
			t.Errorf("%s tells MODEWATCH_%s, which no entry has", page, name)
		}
	}
}

// Its table of messages is made of the catalogue.
func TestGoldenMessages(t *testing.T) {
	var b strings.Builder
	b.WriteString("| MESSAGE_ID | says | of |\n| --- | --- | --- |\n")
	texts := readCatalogue(t)
	for _, kind := range kinds {
		ids := slices.Clone(kind.ids)
		slices.SortFunc(ids, func(a, b MessageID) int { return strings.Compare(texts[a], texts[b]) })
		for _, id := range ids {
			subject, _, _ := strings.Cut(strings.TrimPrefix(texts[id], "Subject: "), "\n")
			subject = regexp.MustCompile(`@MODEWATCH_([A-Z_]+)@`).ReplaceAllString(subject, "*$1*")
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", id, subject, kind.name)
		}
	}
	text := read(t, page)
	head, _, _ := strings.Cut(text, "| MESSAGE_ID |")
	if want := head + b.String(); text != want {
		if !*update {
			t.Fatalf("%s is not of this catalogue: go test ./sinks/journal -run Golden -update", page)
		}
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
