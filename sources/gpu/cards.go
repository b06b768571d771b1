package gpu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// family is one kind of device nodes of GPUs and where the system says which GPU
// each belongs to.
type family struct {
	dir  string
	name *regexp.Regexp
}

var families = []family{
	{"/dev", regexp.MustCompile(`^nvidia[0-9]+$`)},
	{"/dev/dri", regexp.MustCompile(`^card[0-9]+$`)},
	{"/dev/dri", regexp.MustCompile(`^renderD[0-9]+$`)},
}

// Cards lists the GPUs that have a device node which the policy names, by what
// the kernel tells of them. It wakes none, and starts nothing.
func (s *Source) Cards() ([]fsm.Card, error) {
	told, err := s.told()
	if err != nil {
		return nil, err
	}
	var cards []fsm.Card
	for _, f := range families {
		nodes, err := s.nodes(f)
		if err != nil {
			return nil, err
		}
		strangers := 0
		for _, node := range nodes {
			i := place(&cards, node, s.address(node, told), &strangers)
			cards[i].Nodes = append(cards[i].Nodes, node)
		}
	}
	policy, out := s.Policy(), cards[:0]
	for _, c := range cards {
		s.describe(&c, told[c.PCI])
		if assign(&c, policy); c.Display || c.AI {
			out = append(out, c)
		}
	}
	return out, nil
}

// place finds the card of a node, or adds one. Of nodes whose GPU nobody can tell
// the first of each family are taken for one GPU, and so on.
func place(cards *[]fsm.Card, node, pci string, strangers *int) int {
	unknown := 0
	for i, c := range *cards {
		if c.PCI != "" && c.PCI == pci {
			return i
		}
		if c.PCI == "" {
			if pci == "" && unknown == *strangers {
				*strangers++
				return i
			}
			unknown++
		}
	}
	if pci == "" {
		*strangers++
	}
	*cards = append(*cards, fsm.Card{PCI: pci, Minor: -1})
	return len(*cards) - 1
}

// nodes lists the nodes of a family that exist, in the order of their numbers.
func (s *Source) nodes(f family) ([]string, error) {
	entries, err := os.ReadDir(s.Root + f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot look for GPUs: %w", err)
	}
	var out []string
	for _, e := range entries {
		if f.name.MatchString(e.Name()) {
			out = append(out, f.dir+"/"+e.Name())
		}
	}
	slices.SortFunc(out, func(a, b string) int { return number(a) - number(b) })
	return out, nil
}

// number is the number at the end of a node's name.
func number(node string) int {
	n, err := strconv.Atoi(strings.TrimLeft(filepath.Base(node), "abcdefghijklmnopqrstuvwxyzD"))
	if err != nil {
		return -1
	}
	return n
}

// information is what NVIDIA's driver tells of a GPU in /proc, asleep or not.
type information struct {
	name, uuid string
	minor      int
}

const driverDir = "/proc/driver/nvidia"

// told reads what NVIDIA's driver tells in /proc, by PCI address.
func (s *Source) told() (map[string]information, error) {
	entries, err := os.ReadDir(s.Root + driverDir + "/gpus")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the GPUs of NVIDIA's driver: %w", err)
	}
	out := map[string]information{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(s.Root+driverDir, "gpus", e.Name(), "information"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read what NVIDIA's driver tells of %s: %w", e.Name(), err)
		}
		out[strings.ToLower(e.Name())] = parseInformation(string(data))
	}
	return out, nil
}

func parseInformation(text string) information {
	i := information{minor: -1}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "Model":
			i.name = value
		case "GPU UUID":
			if !strings.Contains(value, "?") { // a GPU that nobody has used yet has none
				i.uuid = value
			}
		case "Device Minor":
			if n, err := strconv.Atoi(value); err == nil {
				i.minor = n
			}
		}
	}
	return i
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// address is the PCI address of the GPU that a node belongs to, "" if that cannot
// be told: the GPU of a virtual machine, or none at all.
func (s *Source) address(node string, told map[string]information) string {
	if strings.HasPrefix(node, "/dev/nvidia") {
		for pci, i := range told {
			if i.minor == number(node) {
				return pci
			}
		}
		return ""
	}
	path, err := filepath.EvalSymlinks(s.Root + "/sys/class/drm/" + filepath.Base(node) + "/device")
	if err != nil {
		return ""
	}
	for path != s.Root && len(path) > 1 {
		if pciAddress.MatchString(filepath.Base(path)) {
			return filepath.Base(path)
		}
		path = filepath.Dir(path)
	}
	return ""
}

func (s *Source) describe(c *fsm.Card, i information) {
	c.Name, c.UUID = i.name, i.uuid
	for _, node := range c.Nodes {
		if strings.HasPrefix(node, "/dev/nvidia") {
			c.Minor = number(node)
		}
	}
}

// nvidia tells whether a driver of NVIDIA is there, loaded or not whole.
func (s *Source) nvidia() bool {
	for _, path := range []string{"/proc/driver/nvidia/version", "/sys/module/nvidia", "/dev/nvidiactl"} {
		if _, err := os.Stat(s.Root + path); err == nil {
			return true
		}
	}
	nodes, err := s.nodes(families[0])
	return err != nil || len(nodes) > 0
}

// asleep tells whether the driver has GPUs and the kernel has all of them
// suspended. While it has, nobody is on them but who has a node of theirs open.
func (s *Source) asleep() bool {
	entries, err := os.ReadDir(s.Root + driverDir + "/gpus")
	if err != nil || len(entries) == 0 {
		return false
	}
	for _, e := range entries {
		data, err := os.ReadFile(s.Root + "/sys/bus/pci/devices/" + strings.ToLower(e.Name()) + "/power/runtime_status")
		if err != nil || strings.TrimSpace(string(data)) != "suspended" {
			return false
		}
	}
	return true
}
