package main

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// took tells a span the way people say it: "40 ms", "3.2 s", "1 min 5 s".
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	}
	return span(d)
}

// span tells a duration in whole units, the two largest that say something.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	parts := []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var out []string
	for _, p := range parts {
		if n := d / p.unit; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, p.name))
			d -= n * p.unit
		} else if len(out) > 0 {
			break
		}
		if len(out) == 2 {
			break
		}
	}
	if len(out) == 0 {
		return "0 s"
	}
	return strings.Join(out, " ")
}

// clock tells a moment as seen from now: the time alone for today.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case t.IsZero():
		return "at an unknown time"
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// since tells a moment and how long ago it was.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "since an unknown time"
	}
	return fmt.Sprintf("since %s (%s)", clock(t, now), span(now.Sub(t)))
}

// userName names a uid; tests replace it.
var userName = func(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}

// asked tells where a wish comes from: "asked for by alice" (D1).
func asked(w fsm.Wish) string {
	switch w.Reason {
	case fsm.ByFile:
		return "written to the file desired"
	case fsm.ByBoot:
		return "made at boot"
	case fsm.ByIdle:
		return "made because the host was idle"
	case fsm.ByReturn:
		return "made because somebody came back"
	case fsm.ByDrift:
		return "made because the mode had drifted"
	case fsm.ByRetry:
		return "made because what had blocked it was over"
	case fsm.ByRecovery:
		return "made to finish what an interrupted attempt left"
	}
	return "asked for by " + caller(w.By)
}

// by is who made a wish in one word, for tables.
func by(w fsm.Wish) string {
	if w.Reason != fsm.ByRequest || w.By.UID < 0 {
		return string(w.Reason)
	}
	return userName(w.By.UID)
}

func caller(c fsm.Caller) string {
	if c.UID < 0 {
		return "somebody unknown"
	}
	text := userName(c.UID)
	switch {
	case c.Session != "":
		text += " in session " + c.Session
	case c.Unit != "":
		text += " in " + c.Unit
	}
	return text
}

// size tells bytes in the unit that keeps the figure short.
func size(b uint64) string {
	switch {
	case b >= 10<<30:
		return fmt.Sprintf("%d GiB", b>>30)
	case b >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(b)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", b>>20)
}

// count tells a number of things: "1 unit", "3 units".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// orDash stands in for an empty cell.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
