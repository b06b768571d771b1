package inference

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sum adds up the samples of each of names over all label sets, from the
// Prometheus text format. A name without a sample, or with one that is not a
// count, is an error: an idle server says 0, a silent one cannot be told from a
// busy one.
func sum(text string, names ...string) ([]float64, error) {
	sums, seen := make([]float64, len(names)), make([]int, len(names))
	for line := range strings.Lines(text) {
		for i, name := range names {
			rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), name)
			if !ok || rest == "" || !strings.ContainsRune("{ \t", rune(rest[0])) {
				continue // a comment, or another name
			}
			v, err := value(rest)
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w", name, err)
			}
			sums[i] += v
			seen[i]++
		}
	}
	for i, name := range names {
		if seen[i] == 0 {
			return nil, fmt.Errorf("there is no metric %s", name)
		}
	}
	return sums, nil
}

// value reads what follows a sample's name: labels, the value, a time stamp.
func value(rest string) (float64, error) {
	after, err := skipLabels(strings.TrimLeft(rest, " \t"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0, fmt.Errorf("no value in %.80q", rest)
	}
	v, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, fmt.Errorf("%.40q is no count", fields[0])
	}
	return v, nil
}

// skipLabels returns what follows {name="value",...}; values are quoted, with
// backslash escapes, and may hold braces.
func skipLabels(s string) (string, error) {
	if !strings.HasPrefix(s, "{") {
		return s, nil
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return s[i+1:], nil
		}
	}
	return "", fmt.Errorf("the labels do not end in %.80q", s)
}
