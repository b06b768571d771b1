package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
)

func graphVerb(f *pflag.FlagSet) runner {
	format := f.String("format", "mermaid", "print `mermaid` or svg")
	return func(e env, _ []string) (int, error) {
		if *format != "mermaid" && *format != "svg" {
			return 0, misuse("the formats are mermaid and svg", "there is no format %q", *format)
		}
		v, err := e.glance()
		if err != nil {
			return 0, err
		}
		if *format == "svg" {
			e.say("%s", graphSVG(v.state()))
			return 0, nil
		}
		drawn, err := fsm.Diagram()
		if err == nil {
			e.say("%s    classDef now fill:%s,color:#ffffff\n    class %s now", drawn, colours["desktop"], v.state())
		}
		return 0, err
	}
}

// spots is where each state is drawn, at its middle.
var spots = map[fsm.State][2]float64{
	fsm.Boot: {110, 60}, fsm.FailedTransition: {790, 60}, fsm.Transitioning: {450, 130},
	fsm.AtDesktop: {110, 400}, fsm.AtStudioLocal: {450, 480}, fsm.AtCompute: {790, 400},
}

const (
	boxWide, boxHigh = 150.0, 44.0
	graphStyle       = `<style>text{font:12px sans-serif;text-anchor:middle}.state{font-size:14px;font-weight:bold}.edge{fill:none;stroke:#777777;stroke-width:1.2}.hand{stroke-dasharray:4 3;stroke:#bbbbbb}.label{fill:#444444;paint-order:stroke;stroke:#ffffff;stroke-width:3}</style>`
)

// graphSVG draws the table with the current state marked. Edges of changes by hand are
// dashed, without a name each.
func graphSVG(now fsm.State) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 560">` + "\n" + graphStyle + "\n" +
		`<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777777"/></marker></defs>` + "\n" +
		`<rect width="900" height="560" fill="#ffffff"/>` + "\n")
	var lines, labels strings.Builder
	for _, e := range joined() {
		line, label := e.draw()
		lines.WriteString(line)
		labels.WriteString(label)
	}
	b.WriteString(lines.String() + labels.String())
	for _, s := range fsm.States {
		fill, ink := "#f4f4f4", "#222222"
		if s == now {
			fill, ink = colours["desktop"], "#ffffff"
		}
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="8" fill="%s" stroke="#555555"/><text class="state" x="%.0f" y="%.0f" fill="%s">%s</text>`+"\n",
			spots[s][0]-boxWide/2, spots[s][1]-boxHigh/2, boxWide, boxHigh, fill, spots[s][0], spots[s][1]+5, ink, s)
	}
	b.WriteString(`<text x="450" y="548" fill="#777777">dashed: changed by hand</text>` + "\n</svg>")
	return b.String()
}

// arrow is all events that lead from one state to another.
type arrow struct {
	from, to fsm.State
	on       []string
	hand     bool
}

func joined() (all []arrow) {
	for _, r := range fsm.Table {
		hand := strings.HasPrefix(string(r.On), "drifted-to-")
		i := slices.IndexFunc(all, func(a arrow) bool { return a.from == r.From && a.to == r.To && a.hand == hand })
		if i < 0 {
			i, all = len(all), append(all, arrow{from: r.From, to: r.To, hand: hand})
		}
		if !hand {
			all[i].on = append(all[i].on, string(r.On))
		}
	}
	return all
}

// draw bends each edge to its right, so that there and back are two lines.
func (a arrow) draw() (line, label string) {
	p, q := spots[a.from], spots[a.to]
	dx, dy := q[0]-p[0], q[1]-p[1]
	far := math.Hypot(dx, dy)
	bend := 26.0
	if a.hand {
		bend = 60
	}
	mx, my := (p[0]+q[0])/2-dy/far*bend, (p[1]+q[1])/2+dx/far*bend
	sx, sy := leave(p, [2]float64{mx, my})
	ex, ey := leave(q, [2]float64{mx, my})
	class := "edge"
	if a.hand {
		class = "edge hand"
	}
	line = fmt.Sprintf(`<path class="%s" d="M%.1f %.1fQ%.1f %.1f %.1f %.1f" marker-end="url(#tip)"/>`+"\n", class, sx, sy, mx, my, ex, ey)
	if len(a.on) > 0 {
		// A third of the way, where the edges that meet in one state are apart.
		x, y := 0.45*sx+0.44*mx+0.11*ex, 0.45*sy+0.44*my+0.11*ey
		label = fmt.Sprintf(`<text class="label" x="%.1f" y="%.1f">%s</text>`+"\n", x, y+4, strings.Join(a.on, ", "))
	}
	return line, label
}

// leave is where a line from the middle of a box towards a point leaves the box.
func leave(p, towards [2]float64) (x, y float64) {
	dx, dy := towards[0]-p[0], towards[1]-p[1]
	scale := math.Min(boxWide/2/math.Max(math.Abs(dx), 1e-9), boxHigh/2/math.Max(math.Abs(dy), 1e-9))
	return p[0] + dx*scale, p[1] + dy*scale
}
