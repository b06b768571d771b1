package gpu

import (
	"reflect"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/gpu/report"
)

// FuzzReport reads any document of the program that asks NVML. One that is taken
// says the same when it is written again, and each process of it is a holder of a
// card; of one that is not taken nothing is.
func FuzzReport(f *testing.F) {
	s := &Source{Policy: func() fsm.GPUPolicy { return fsm.GPUPolicy{} }, Root: f.TempDir(),
		Who: func([]int) (map[int]fsm.GPUHolder, error) { return nil, nil }}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := report.Decode(data)
		if err != nil {
			if !reflect.DeepEqual(doc, report.Document{}) {
				t.Errorf("%q: %+v, %v", data, doc, err)
			}
			return
		}
		var again strings.Builder
		if err := doc.Encode(&again); err != nil {
			t.Fatal(err)
		}
		if same, err := report.Decode([]byte(again.String())); err != nil || !reflect.DeepEqual(normal(same), normal(doc)) {
			t.Errorf("%q is %+v, and then %+v, %v", data, doc, same, err)
		}
		got, err := s.merge(fsm.GPU{}, doc)
		if err != nil || len(got.Cards) != len(doc.GPUs) {
			t.Fatalf("%q is %+v, %v", data, got, err)
		}
		for _, g := range doc.GPUs {
			for _, p := range g.Processes {
				if !holds(got.Holders, p.PID, nodeOf(g)) {
					t.Errorf("%q: process %d holds nothing in %+v", data, p.PID, got)
				}
			}
		}
	})
}

func holds(all []fsm.GPUHolder, pid int, node string) bool {
	for _, h := range all {
		if h.PID == pid && h.Node == node {
			return true
		}
	}
	return false
}

// normal has no empty lists, which JSON writes as none.
func normal(d report.Document) report.Document {
	if len(d.GPUs) == 0 {
		d.GPUs = nil
	}
	for i := range d.GPUs {
		if len(d.GPUs[i].Unlisted) == 0 {
			d.GPUs[i].Unlisted = nil
		}
	}
	return d
}

// FuzzInformation reads what NVIDIA's driver tells of a GPU: no line is two, and
// what follows it changes it only by its own name.
func FuzzInformation(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		i := parseInformation(text)
		if strings.Contains(i.name+i.uuid, "\n") || strings.Contains(i.uuid, "?") || i.minor >= 0 && !strings.Contains(text, "Device Minor") {
			t.Errorf("%q is %+v", text, i)
		}
		want := information{"One", "GPU-1", 3}
		if got := parseInformation(text + "\nModel: \t One\nGPU UUID: GPU-1\nDevice Minor: 3\n"); got != want {
			t.Errorf("after %q: %+v", text, got)
		}
	})
}
