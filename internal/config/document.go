package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File      string
	Line, Col int    // from 1; 0 where it is about what is not written
	Key       string // dotted; empty for a fault of syntax
	What      string // what is wrong
	Write     string // what to write instead; may be empty
}

func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Col)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + " ")
	}
	b.WriteString(f.What)
	if f.Write != "" {
		b.WriteString("; " + f.Write)
	}
	return b.String()
}

// spot is a place in the file.
type spot struct{ line, col int }

// document is a parsed file: its values, where each key stands, and the faults
// found so far.
type document struct {
	file   string
	tree   map[string]any
	spots  map[string]spot // by dotted key
	faults []*Fault
	faulty map[string]bool // keys that have a fault, of which one is told
}

func parseTOML(file string, data []byte) (*document, error) {
	doc := &document{file: file, tree: map[string]any{}, spots: map[string]spot{}, faulty: map[string]bool{}}
	if err := toml.Unmarshal(data, &doc.tree); err != nil {
		var syntax *toml.DecodeError
		if !errors.As(err, &syntax) {
			return nil, &Fault{File: file, What: strings.TrimPrefix(err.Error(), "toml: ")}
		}
		line, col := syntax.Position()
		return nil, &Fault{File: file, Line: line, Col: col, What: strings.TrimPrefix(syntax.Error(), "toml: ")}
	}
	return doc, doc.locate(data)
}

// locate notes where each key stands.
func (d *document) locate(data []byte) error {
	var p unstable.Parser
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = d.mark(&p, nil, e)
		case unstable.KeyValue:
			d.keyValue(&p, table, e)
		}
	}
	if err := p.Error(); err != nil {
		return &Fault{File: d.file, What: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	return nil
}

func (d *document) keyValue(p *unstable.Parser, table []string, e *unstable.Node) {
	path := d.mark(p, table, e)
	if v := e.Value(); v.Kind == unstable.InlineTable {
		for it := v.Children(); it.Next(); {
			d.keyValue(p, path, it.Node())
		}
	}
}

// mark notes the place of each part of a dotted key, the first mention of a
// part only, and returns the whole path.
func (d *document) mark(p *unstable.Parser, table []string, e *unstable.Node) []string {
	path := slices.Clone(table)
	for it := e.Key(); it.Next(); {
		path = append(path, string(it.Node().Data))
		key := dotted(path...)
		if _, known := d.spots[key]; !known {
			start := p.Shape(it.Node().Raw).Start
			d.spots[key] = spot{start.Line, start.Column}
		}
	}
	return path
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// dotted writes a path as TOML would.
func dotted(path ...string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		if parts[i] = part; !bareKey.MatchString(part) {
			parts[i] = strconv.Quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// fault adds what is wrong with the first of the keys. It is told at the place
// of the first of them that is written; a key whose fault is told already has
// no second.
func (d *document) fault(keys []string, what, write string) {
	if slices.ContainsFunc(keys, func(k string) bool { return d.faulty[k] }) {
		return
	}
	f := &Fault{File: d.file, Key: keys[0], What: what, Write: write}
	d.faulty[f.Key] = true
	for _, k := range keys {
		if at, written := d.spots[k]; written {
			f.Line, f.Col = at.line, at.col
			d.faulty[k] = true
			break
		}
	}
	d.faults = append(d.faults, f)
}

// err joins the faults in the order of the file.
func (d *document) err() error {
	slices.SortStableFunc(d.faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Key, b.Key), cmp.Compare(a.What, b.What))
	})
	var all []error
	for _, f := range d.faults {
		all = append(all, f)
	}
	return errors.Join(all...)
}
