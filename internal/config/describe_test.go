package config

import (
	"reflect"
	"testing"
	"time"
)

// TestDescribeTellsEveryKey: whoever changes a key sees it in the description.
func TestDescribeTellsEveryKey(t *testing.T) {
	words := map[string]string{"gpus.nvml": nvmlOff, "vllm.drain.on_timeout": "block"}
	before := Describe(used(defaults()))
	for _, key := range leaves(reflect.TypeFor[raw](), nil) {
		r := defaults()
		v := field(reflect.ValueOf(&r).Elem(), nil, key)
		switch is := v.Addr().Interface().(type) {
		case *bool:
			*is = !*is
		case *int:
			*is++
		case *float64:
			*is++
		case *size:
			*is += 4 << 30
		case *time.Duration:
			*is += time.Hour
		case *string:
			if *is += "changed"; words[key] != "" {
				*is = words[key]
			}
		case *[]string:
			*is = append(*is, "changed.service")
		case *map[string]string:
			*is = map[string]string{"vllm@compute.service": "http://127.0.0.1:9"}
		default:
			t.Fatalf("%s is a %T", key, is)
		}
		if Describe(used(r)) == before {
			t.Errorf("a change of %s is not told", key)
		}
	}
}

// field is the field of a dotted key.
func field(v reflect.Value, path []string, key string) reflect.Value {
	for i := range v.NumField() {
		here := append(path[:len(path):len(path)], v.Type().Field(i).Tag.Get("toml"))
		f := v.Field(i)
		if f.Kind() == reflect.Struct {
			if found := field(f, here, key); found.IsValid() {
				return found
			}
		} else if dotted(here...) == key {
			return f
		}
	}
	return reflect.Value{}
}
