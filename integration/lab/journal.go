package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Entry is one journal entry: field name to value. Values of a field that occurs
// several times are joined by line feeds.
type Entry map[string]string

// Journal asks journald to write down all it has received, then returns what
// journalctl finds with the given arguments, oldest first.
func (m *Machine) Journal(ctx context.Context, args ...string) ([]Entry, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if r, err := m.Run(ctx, "journalctl", "--sync"); err != nil || r.Code != 0 {
		return nil, errors.Join(fmt.Errorf("cannot sync the journal: %s", r.Stderr), err)
	}
	r, err := m.Run(ctx, append([]string{"journalctl", "--output=json", "--all", "--quiet", "--no-pager"}, args...)...)
	if err != nil {
		return nil, err
	}
	// journalctl ends with 1 where --grep finds nothing.
	if r.Code > 1 || r.Code == 1 && r.Stderr != "" {
		return nil, fmt.Errorf("cannot read the journal: exit code %d: %s", r.Code, r.Stderr)
	}
	return parseJournal([]byte(r.Stdout))
}

// parseJournal reads the form of journalctl -o json.
func parseJournal(text []byte) ([]Entry, error) {
	var entries []Entry
	from := json.NewDecoder(bytes.NewReader(text))
	for {
		var fields map[string]json.RawMessage
		err := from.Decode(&fields)
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read journal entry %d: %w", len(entries), err)
		}
		entry := Entry{}
		for name, value := range fields {
			if entry[name], err = parseField(value); err != nil {
				return nil, fmt.Errorf("cannot read journal field %s: %w", name, err)
			}
		}
		entries = append(entries, entry)
	}
}

// parseField reads a value: text, bytes as numbers, or several of these.
func parseField(value json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	var numbers []uint8
	var several []json.RawMessage
	if err := json.Unmarshal(value, &several); err != nil {
		return "", err
	}
	var texts []string
	for _, one := range several {
		var number uint8
		if json.Unmarshal(one, &number) == nil {
			numbers = append(numbers, number)
			continue
		}
		text, err := parseField(one)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return string(numbers), nil
	}
	return strings.Join(texts, "\n"), nil
}
