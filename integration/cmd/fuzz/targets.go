package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is one fuzz test.
type target struct{ dir, name string }

func (t target) String() string { return t.dir + " " + t.name }

// seeds is where its committed inputs are.
func (t target) seeds() string { return filepath.Join(t.dir, "testdata", "fuzz", t.name) }

var declared = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)

// targets lists the fuzz tests below root.
func targets(root string) ([]target, error) {
	var all []target
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "out" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllSubmatch(text, -1) {
			all = append(all, target{filepath.Dir(path), string(found[1])})
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("there is no fuzz target below %s", root)
	}
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.String(), b.String()) })
	return all, err
}

// unseeded names the targets without a committed input.
func unseeded(all []target) error {
	var bare []string
	for _, t := range all {
		if entries, err := os.ReadDir(t.seeds()); err != nil || len(entries) == 0 {
			bare = append(bare, t.String())
		}
	}
	if len(bare) > 0 {
		return fmt.Errorf("these targets have no seeds in testdata/fuzz: %s", strings.Join(bare, ", "))
	}
	return nil
}
