package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes, written as "40GiB", as a plain number of bytes, or
// as "infinity".
type size uint64

// infinity is systemd's word, and value, for no bound.
const infinity = size(math.MaxUint64)

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

func parseSize(text string) (size, error) {
	if text == "infinity" {
		return infinity, nil
	}
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n >= 0) || n*u.bytes >= 1<<62 {
			break
		}
		return size(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no size", text)
}

func (s size) String() string {
	switch {
	case s == infinity:
		return "infinity"
	case s >= 1<<30 && s%(1<<27) == 0:
		return strconv.FormatFloat(float64(s)/(1<<30), 'f', -1, 64) + "GiB"
	case s >= 1<<20 && s%(1<<20) == 0:
		return strconv.FormatUint(uint64(s>>20), 10) + "MiB"
	}
	return strconv.FormatUint(uint64(s), 10) + "B"
}
