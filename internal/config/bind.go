package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bind puts what is written over the defaults in r. It knows no key by name:
// the tags of raw say all.
func (d *document) bind(r *raw) { d.table(nil, d.tree, reflect.ValueOf(r).Elem()) }

func (d *document) table(path []string, tree map[string]any, into reflect.Value) {
	for name, value := range tree {
		here := append(slices.Clone(path), name)
		i, known := keyIndex(into.Type(), name)
		if !known {
			d.unknown(here, into.Type())
			continue
		}
		d.value(here, value, into.Field(i))
	}
}

func keyIndex(t reflect.Type, name string) (int, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == name {
			return i, true
		}
	}
	return 0, false
}

func keysOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		out = append(out, t.Field(i).Tag.Get("toml"))
	}
	return out
}

func (d *document) unknown(path []string, t reflect.Type) {
	name := path[len(path)-1]
	write := "known here: " + strings.Join(keysOf(t), ", ")
	if near := nearest(name, keysOf(t)); near != "" {
		write = fmt.Sprintf("did you mean %q?", near)
	} else if elsewhere := findKey(reflect.TypeFor[raw](), nil, name); elsewhere != "" {
		write = fmt.Sprintf("did you mean %s?", elsewhere)
	}
	d.fault([]string{dotted(path...)}, "is not a known key", write)
}

// findKey returns the dotted path of a key by its last part, in any table.
func findKey(t reflect.Type, path []string, name string) string {
	for i := range t.NumField() {
		f := t.Field(i)
		here := append(slices.Clone(path), f.Tag.Get("toml"))
		if f.Tag.Get("toml") == name {
			return dotted(here...)
		}
		if f.Type.Kind() == reflect.Struct {
			if found := findKey(f.Type, here, name); found != "" {
				return found
			}
		}
	}
	return ""
}

// value binds one value, by the type of the field that takes it.
func (d *document) value(path []string, v any, into reflect.Value) {
	var why, write string
	switch to := into.Addr().Interface().(type) {
	case *time.Duration:
		*to, why, write = asDuration(v, *to)
	case *size:
		*to, why, write = asSize(v, *to)
	case *string:
		*to, why, write = as(v, *to, "a string", `"…"`)
	case *bool:
		*to, why, write = as(v, *to, "a boolean", "true or false")
	case *int:
		var n int64
		n, why, write = as(v, int64(*to), "a whole number", "a number without a point")
		*to = int(n)
	case *float64:
		*to, why, write = asFloat(v, *to)
	case *[]string:
		*to, why, write = asList(v, *to)
	case *map[string]string:
		d.names(path, v, *to)
	default:
		if tree, ok := v.(map[string]any); ok {
			d.table(path, tree, into)
			return
		}
		why, write = "is "+kind(v)+", not a table", "write ["+dotted(path...)+"] and its keys below"
	}
	if why != "" {
		d.fault([]string{dotted(path...)}, why, write)
	}
}

// names binds a table whose keys are names that the reader chooses.
func (d *document) names(path []string, v any, into map[string]string) {
	tree, ok := v.(map[string]any)
	if !ok {
		d.fault([]string{dotted(path...)}, "is "+kind(v)+", not a table", "write ["+dotted(path...)+"] and its keys below")
		return
	}
	for name, value := range tree {
		text, why, write := as(value, "", "a string", `"…"`)
		if why != "" {
			d.fault([]string{dotted(append(slices.Clone(path), name)...)}, why, write)
			continue
		}
		into[name] = text
	}
}

func as[T any](v any, else_ T, want, write string) (T, string, string) {
	if got, ok := v.(T); ok {
		return got, "", ""
	}
	return else_, "is " + kind(v) + ", not " + want, "write " + write
}

func asDuration(v any, else_ time.Duration) (time.Duration, string, string) {
	text, ok := v.(string)
	if n, number := v.(int64); number {
		return else_, "is a number, and a duration needs a unit", fmt.Sprintf("write %q", strconv.FormatInt(n, 10)+"s")
	}
	if !ok {
		return else_, "is " + kind(v) + ", not a duration", `write a duration such as "30s"`
	}
	if got, err := time.ParseDuration(text); err == nil {
		return got, "", ""
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return else_, fmt.Sprintf("is %q, and a duration needs a unit", text), fmt.Sprintf("write %q", text+"s")
	}
	return else_, fmt.Sprintf("is %q, which is no duration", text), `write a duration such as "90s", "10m" or "1m30s"`
}

func asSize(v any, else_ size) (size, string, string) {
	const write = `write a size such as "40GiB", or a number of bytes`
	switch v := v.(type) {
	case int64:
		if v < 0 {
			return else_, "is negative", write
		}
		return size(v), "", ""
	case string:
		if got, err := parseSize(v); err == nil {
			return got, "", ""
		}
		return else_, fmt.Sprintf("is %q, which is no size", v), write
	}
	return else_, "is " + kind(v) + ", not a size", write
}

// asFloat accepts a whole number too: some writers drop the point of 40.0.
func asFloat(v any, else_ float64) (float64, string, string) {
	switch v := v.(type) {
	case int64:
		return float64(v), "", ""
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, "", ""
		}
		return else_, fmt.Sprintf("is %v", v), "write a number such as 40.0"
	}
	return else_, "is " + kind(v) + ", not a number", "write a number such as 40.0"
}

func asList(v any, else_ []string) ([]string, string, string) {
	list, ok := v.([]any)
	if !ok {
		return else_, "is " + kind(v) + ", not a list", `write ["…", "…"]`
	}
	out := make([]string, 0, len(list))
	for i, item := range list {
		text, ok := item.(string)
		switch {
		case !ok:
			return else_, fmt.Sprintf("has %s as item %d, not a string", kind(item), i+1), `write ["…", "…"]`
		case text == "":
			return else_, fmt.Sprintf("has an empty item %d", i+1), "drop it"
		case slices.Contains(out, text):
			return else_, fmt.Sprintf("lists %q twice", text), "drop one"
		}
		out = append(out, text)
	}
	return out, "", ""
}

// kind names a TOML value's kind for a person.
func kind(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// nearest returns the candidate that a mistyped word most likely means, or "".
func nearest(word string, candidates []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if len(c) > 2 && strings.HasPrefix(strings.ToLower(word), c) {
			return c
		}
		if n := distance(strings.ToLower(word), strings.ToLower(c)); n < least {
			best, least = c, n
		}
	}
	return best
}

// distance counts the letters to insert, drop or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			row[j+1] = min(above, row[j]) + 1
			if a[i] == b[j] {
				row[j+1] = min(row[j+1], diagonal)
			} else {
				row[j+1] = min(row[j+1], diagonal+1)
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
