// Command fuzz runs every fuzz target of the module for a while, and fails when one
// finds an input that breaks it. go then has written that input into the target's
// testdata, to be committed with what mends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

func main() {
	each := flag.Duration("for", 2*time.Minute, "fuzz each target for `TIME`")
	out := flag.String("out", "out/fuzz", "keep programs and found inputs in `DIR`")
	report := flag.String("report", "", "write the figures to `FILE`, for docs/assurance.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *each, *out, *report); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration, out, report string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	all, err := targets(".")
	if err == nil {
		err = unseeded(all)
	}
	if err != nil {
		return err
	}
	began := time.Now()
	results := fuzzAll(ctx, all, each, out)
	if ctx.Err() != nil {
		return errors.New("it was interrupted")
	}
	s := section(results, each)
	fmt.Printf("figure: fuzz: %s executions of %d targets in %v\n", s.Rows[1].Value, len(all), time.Since(began).Round(time.Second))
	if report != "" {
		err = assurance.Write(report, s)
	}
	for _, r := range results {
		err = errors.Join(err, r.err)
	}
	return err
}

// fuzzAll runs the targets, as many side by side as there are CPUs, each with one
// worker: while one is built another runs.
func fuzzAll(ctx context.Context, all []target, each time.Duration, out string) []result {
	results := make([]result, len(all))
	todo := make(chan int)
	built := builds{out: out, once: map[string]func() error{}}
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for i := range todo {
				results[i] = fuzz(ctx, all[i], each, &built)
				fmt.Println(results[i])
			}
		})
	}
	for i := range all {
		todo <- i
	}
	close(todo)
	wg.Wait()
	return results
}
