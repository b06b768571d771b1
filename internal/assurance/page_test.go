package assurance

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	dir := t.TempDir()
	for _, name := range Order[1:] {
		s := Section{Title: "About " + name, Text: "Done thus.", Command: "make " + name, Date: "2026-01-02",
			Rows: []Row{{What: "tried", Value: "7"}}, Tables: []Table{{Title: "More", Head: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}}}
		if name == "fuzz" {
			s.Rows = append(s.Rows, Row{What: "crashes", Value: "1", Need: "0", Unmet: true})
		}
		if err := Write(filepath.Join(dir, name+".json"), s); err != nil {
			t.Fatal(err)
		}
	}
	text, unmet, err := Page(dir, "# Assurance\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"random was not run", "About fuzz: crashes is 1, not 0"}; !slices.Equal(unmet, want) {
		t.Errorf("unmet: %q, want %q", unmet, want)
	}
	for _, want := range []string{"# Assurance\n\n## random\n\nNot run.\n", "## About mutants\n\nDone thus.\n\nRun on 2026-01-02 by `make mutants`.\n",
		"| crashes | 1 | 0 | NOT MET |\n", "\n### More\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}
