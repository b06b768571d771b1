package assurance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Order names the proofs, as the page has them; each has NAME.json in the folder of
// the reports.
var Order = []string{"random", "explored", "mutants", "fuzz", "crash-lab", "crash-vm", "coverage"}

// Page makes the page of the reports in dir, and names what is not as it must be: a
// figure, or a proof that was not run.
func Page(dir, intro string) (text string, unmet []string, err error) {
	var b strings.Builder
	b.WriteString(intro)
	for _, name := range Order {
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			unmet = append(unmet, name+" was not run")
			fmt.Fprintf(&b, "\n## %s\n\nNot run.\n", name)
			continue
		}
		var s Section
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err != nil {
			return "", nil, fmt.Errorf("cannot read the report %s of %s: %w", name, dir, err)
		}
		unmet = append(unmet, s.write(&b)...)
	}
	return b.String(), unmet, nil
}

func (s Section) write(b *strings.Builder) (unmet []string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\nRun on %s by `%s`.\n\n", s.Title, strings.TrimSpace(s.Text), s.Date, s.Command)
	rows := [][]string{}
	for _, r := range s.Rows {
		verdict := ""
		switch {
		case r.Unmet:
			verdict = "NOT MET"
			unmet = append(unmet, fmt.Sprintf("%s: %s is %s, not %s", s.Title, r.What, r.Value, r.Need))
		case r.Need != "":
			verdict = "ok"
		}
		rows = append(rows, []string{r.What, r.Value, r.Need, verdict})
	}
	table(b, []string{"what", "figure", "must be", ""}, rows)
	for _, t := range s.Tables {
		fmt.Fprintf(b, "\n### %s\n\n", t.Title)
		table(b, t.Head, t.Rows)
	}
	return unmet
}

func table(b *strings.Builder, head []string, rows [][]string) {
	line := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(strings.Split(strings.Repeat("---,", len(head)-1)+"---", ","))
	for _, r := range rows {
		line(r)
	}
}
