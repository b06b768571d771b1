package soak

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/modewatch/modewatch/internal/sim"
)

// What a script draws on is told by its name in a scenario: an index would mean
// something else as soon as one is added.
type (
	variantID   int
	startID     int
	situationID int
)

func (id variantID) name() string   { return variantNames[id] }
func (id startID) name() string     { return starts[id].name }
func (id situationID) name() string { return situations[id].name }

func (id variantID) MarshalText() ([]byte, error)   { return []byte(id.name()), nil }
func (id startID) MarshalText() ([]byte, error)     { return []byte(id.name()), nil }
func (id situationID) MarshalText() ([]byte, error) { return []byte(id.name()), nil }

func (id *variantID) UnmarshalText(b []byte) error   { return named(id, len(variants), b) }
func (id *startID) UnmarshalText(b []byte) error     { return named(id, len(starts), b) }
func (id *situationID) UnmarshalText(b []byte) error { return named(id, len(situations), b) }

// named sets id to the first of so many that has the name.
func named[T interface {
	~int
	name() string
}](id *T, of int, name []byte) error {
	for i := range of {
		if T(i).name() == string(name) {
			*id = T(i)
			return nil
		}
	}
	return fmt.Errorf("there is no %T called %q", *id, name)
}

// eventOf returns the event with the name.
func eventOf(name string) event {
	i := slices.IndexFunc(events, func(e event) bool { return e.name == name })
	if i < 0 {
		panic("there is no event called " + name)
	}
	return events[i]
}

// plainer are the characters that differ from a host's by one thing, which is as on a
// host that answers everything at once.
func plainer(c sim.Character) (out []sim.Character) {
	for i := range reflect.TypeFor[sim.Character]().NumField() {
		less := c
		if f := reflect.ValueOf(&less).Elem().Field(i); !f.IsZero() {
			f.SetZero()
			out = append(out, less)
		}
	}
	return out
}
