package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// style paints text for one output: plain unless it is a terminal that wants
// colours.
type style struct{ colour bool }

func (s style) paint(code, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) good(t string) string   { return s.paint("32", t) }
func (s style) warn(t string) string   { return s.paint("33", t) }
func (s style) bad(t string) string    { return s.paint("31", t) }
func (s style) dim(t string) string    { return s.paint("2", t) }
func (s style) strong(t string) string { return s.paint("1", t) }

func (e env) styles() style    { return e.styleOf(e.stdout) }
func (e env) stylesErr() style { return e.styleOf(e.stderr) }

// styleOf colours only for a terminal, and not where --no-color, NO_COLOR or a
// dumb terminal forbid it.
func (e env) styleOf(w io.Writer) style {
	wanted := !e.noColor && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
	return style{colour: wanted && width(w) > 0}
}

// width returns the columns of the terminal behind w, 0 where there is none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80 // a terminal that does not know its size, such as a serial line
	}
	return int(size.Col)
}
