// Command mutants asks whether the tests would notice if the program became unsafe. It
// changes one place at a time, by an overlay of go test and never in the tree, and runs
// the tests that must fail then:
//
//	go run ./integration/cmd/mutants                     # all of safety.go
//	go run ./integration/cmd/mutants -sample 6 -seed X   # some of them, drawn by X
//	go run ./integration/cmd/mutants -only WORDS         # those whose name holds WORDS
//	go run ./integration/cmd/mutants -every 40           # and those of a tool, one of 40
//
// Run it at the top of the tree. It fails when a mutant survives.
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

var (
	sample  = flag.Int("sample", 0, "how many of the mutants of safety.go are tried; 0: all")
	seed    = flag.String("seed", "", "what the sample is drawn by")
	only    = flag.String("only", "", "words that the name must hold")
	every   = flag.Int("every", 0, "one of so many of the tool's mutants is tried; 0: none")
	reports = flag.String("report", "", "a file for the report")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run() error {
	began := time.Now()
	list := drawn(safety)
	made, skipped, err := byTool()
	if err == nil {
		err = sound(slices.Concat(list, made))
	}
	if err != nil {
		return err
	}
	hand, tool := tryAll(list), tryAll(made)
	fmt.Printf("figure: mutants: %s; by the tool: %s, %d more argued equivalent; in %s\n", hand, tool, skipped, time.Since(began).Round(time.Second))
	if *reports != "" {
		if err := assurance.Write(*reports, section(hand, tool, skipped)); err != nil {
			return err
		}
	}
	if alive := append(hand.alive, tool.alive...); len(alive) > 0 {
		return fmt.Errorf("%d mutants survived:\n  %s", len(alive), strings.Join(alive, "\n  "))
	}
	return nil
}

// drawn are the mutants that are asked for.
func drawn(all []mutant) (out []mutant) {
	for _, m := range all {
		if strings.Contains(m.name, *only) {
			out = append(out, m)
		}
	}
	if *sample == 0 || *sample >= len(out) {
		return out
	}
	h := fnv.New64()
	_, _ = h.Write([]byte(*seed))
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	fmt.Printf("mutants: %d of %d, drawn by %q\n", *sample, len(out), *seed)
	return out[:*sample]
}

func section(hand, tool tally, skipped int) assurance.Section {
	s := assurance.Section{Title: "Mutants",
		Text: "One place of the program at a time is made wrong, and the tests must notice. Those of the first kind were thought of, " +
			"one for each way to become unsafe; those of the second are made by a tool in `fsm`, `guards` and `internal/engine` " +
			"(a condition turned round, a bound moved, a value changed, a call or a result left out). A mutant that does not compile is not counted.",
		Command: "make mutants", Date: time.Now().Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "mutants that were thought of", Value: fmt.Sprint(hand.tried), Need: "≥ 30", Unmet: hand.tried < 30},
			{What: "of these noticed", Value: fmt.Sprint(hand.killed), Need: fmt.Sprint(hand.tried), Unmet: hand.killed < hand.tried},
			{What: "mutants by the tool", Value: fmt.Sprint(tool.tried)},
			{What: "of these noticed", Value: fmt.Sprint(tool.killed), Need: fmt.Sprint(tool.tried), Unmet: tool.killed < tool.tried},
			{What: "argued equivalent", Value: fmt.Sprint(skipped)},
		}}
	t := assurance.Table{Title: "What was thought of", Head: []string{"mutant", "breaks", "noticed by"}}
	for _, r := range hand.results {
		t.Rows = append(t.Rows, []string{r.name, r.breaks, r.by})
	}
	s.Tables = []assurance.Table{t}
	return s
}
