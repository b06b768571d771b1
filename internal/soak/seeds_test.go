package soak

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSeedsThatShowedSomething runs the trials by which the engine was found wrong
// once. testdata/seeds.txt says what each showed; a seed is of the generator as it is:
// whoever changes that draws them anew, with the fault put back. The unit tests that
// the file names hold the fixes whatever the generator does.
func TestSeedsThatShowedSomething(t *testing.T) {
	file, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ran := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text := lines.Text(); text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		var seed uint64
		if _, err := fmt.Sscan(lines.Text(), &seed); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		ran++
		if w := try(t, seed, newFigures()); len(w.bad) > 0 {
			t.Errorf("%s\n%s", lines.Text(), w.text())
		}
	}
	if ran == 0 {
		t.Error("there is no seed")
	}
}
