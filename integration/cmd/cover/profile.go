package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const module = "github.com/modewatch/modewatch/"

// block is a piece of code without a branch.
type block struct {
	statements int
	covered    bool
}

// profile is what some runs went over, by the place of each block.
type profile map[string]block

// read adds a profile of go test -coverprofile. Packages of integration/ do not
// count.
func (p profile) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, n := bufio.NewScanner(f), 0
	for ; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "mode: ") {
			continue
		}
		var place string
		var statements, times int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d", &place, &statements, &times); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		place, ours := strings.CutPrefix(place, module)
		if !ours || strings.HasPrefix(place, "integration/") {
			continue
		}
		p[place] = block{statements, p[place].covered || times > 0}
	}
	if n < 2 {
		return errors.New("it tells of no code")
	}
	return lines.Err()
}

// count is a number of statements.
type count struct{ covered, all int }

func (c count) share() float64 { return 100 * float64(c.covered) / float64(max(c.all, 1)) }

// packages adds up the statements of each package, and of all under "overall".
func (p profile) packages() map[string]count {
	by := map[string]count{}
	for place, b := range p {
		file, _, _ := strings.Cut(place, ":")
		for _, name := range []string{path.Dir(file), overall} {
			c := by[name]
			c.all += b.statements
			if b.covered {
				c.covered += b.statements
			}
			by[name] = c
		}
	}
	return by
}

const overall = "overall"

func names(by map[string]count) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if (a == overall) != (b == overall) { // it comes last
			return map[bool]int{true: 1, false: -1}[a == overall]
		}
		return strings.Compare(a, b)
	})
}
