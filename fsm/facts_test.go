package fsm

import (
	"reflect"
	"testing"
	"time"
)

// TestMerge: each subject brings its own field and no other.
func TestMerge(t *testing.T) {
	var g Facts
	g.At = time.Unix(9, 0)
	fields := reflect.ValueOf(&g).Elem()
	for i := range fields.NumField() {
		if ok := fields.Field(i).Kind() == reflect.Struct && fields.Type().Field(i).Name != "At"; ok {
			fields.Field(i).FieldByName("OK").SetBool(true)
		}
	}
	subjects := 0
	for about := AboutHost; about <= AboutIdle; about <<= 1 {
		subjects++
		got := Facts{}.Merge(g, about)
		if !got.At.Equal(g.At) {
			t.Errorf("%s: of %v", SubjectNames[about], got.At)
		}
		v, taken := reflect.ValueOf(got), 0
		for i := 1; i < v.NumField(); i++ {
			if v.Field(i).FieldByName("OK").Bool() {
				if taken++; i != subjects {
					t.Errorf("%s brings field %s", SubjectNames[about], v.Type().Field(i).Name)
				}
			}
		}
		if taken != 1 {
			t.Errorf("%s brings %d fields", SubjectNames[about], taken)
		}
	}
	if want := reflect.TypeFor[Facts]().NumField() - 1; subjects != want {
		t.Errorf("%d subjects for %d fields", subjects, want)
	}
	if got := (Facts{}).Merge(g, Everything); !reflect.DeepEqual(got, g) {
		t.Errorf("everything brings %+v", got)
	}
}
