package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// page is a text of labelled lines with the values in one column. On a
// terminal long values are broken at words and stay in their column.
type page struct {
	style
	b       strings.Builder
	columns int // of the terminal, 0: do not break
	label   int // width of the label column
	last    string
}

func (e env) page(label int) *page {
	return &page{style: e.styles(), columns: width(e.stdout), label: label}
}

// row adds a value under a label. A label that repeats the one before, or an
// empty one, is left blank.
func (p *page) row(label, value string) {
	shown := label
	if label == p.last {
		shown = ""
	}
	if label != "" {
		p.last = label
	}
	lines := []string{value}
	if room := p.columns - p.label; p.columns > 0 && room > 20 {
		lines = wrap(value, room)
	}
	for i, line := range lines {
		if i > 0 {
			shown = ""
		}
		p.line(p.dim(shown) + pad(shown, p.label) + line)
	}
}

// line adds a line. Whatever names of processes are in it, it is one line and
// does nothing to a terminal but paint.
func (p *page) line(text string) {
	p.b.WriteString(strings.TrimRight(tame(text, p.colour), " ") + "\n")
}

// blank adds an empty line.
func (p *page) blank() { p.b.WriteString("\n"); p.last = "" }

// table adds rows of cells in columns, indented by two blanks, with the last
// column broken at words. Cells may be painted.
func (p *page) table(rows [][]string) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(r)-1 {
				widths[i] = max(widths[i], length(c))
			}
		}
	}
	for _, r := range rows {
		lead := "  "
		for i, c := range r {
			if i == len(r)-1 {
				p.hang(lead, c)
				break
			}
			lead += c + pad(c, widths[i]+2)
		}
	}
}

// hang adds text after lead and keeps what does not fit below where it began.
// Where that leaves no room worth the name, the text begins on the next line.
func (p *page) hang(lead, text string) {
	if p.columns == 0 || length(lead)+length(text) <= p.columns {
		p.line(lead + text)
		return
	}
	if p.columns-length(lead) < 20 {
		p.line(lead)
		lead = strings.Repeat(" ", 8)
	}
	for _, line := range wrap(text, max(20, p.columns-length(lead))) {
		p.line(lead + line)
		lead = strings.Repeat(" ", length(lead))
	}
}

func (p *page) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, p.b.String())
	return err
}

// pad returns the blanks that bring text to a width, none if it is wider.
func pad(text string, to int) string { return strings.Repeat(" ", max(0, to-length(text))) }

// length counts the columns of a text, without the escapes that paint it.
func length(text string) int {
	n := 0
	for {
		i := strings.IndexByte(text, 0x1b)
		if i < 0 {
			return n + utf8.RuneCountInString(text)
		}
		n += utf8.RuneCountInString(text[:i])
		end := strings.IndexByte(text[i:], 'm')
		if end < 0 {
			return n
		}
		text = text[i+end+1:]
	}
}

// wrap breaks a text at blanks into lines of at most room columns; a longer
// word has a line of its own.
func wrap(text string, room int) []string {
	if length(text) <= room {
		return []string{text}
	}
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && length(line)+1+length(word) > room {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}
