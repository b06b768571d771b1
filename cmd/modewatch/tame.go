package main

import (
	"strings"
	"unicode"
)

// tame makes a text safe to print: names of processes, sessions and files come
// from whoever chose them. Blanks of any kind become a blank, so that it stays
// one line, and all that would control a terminal is taken out, but the escapes
// that paint where the output is painted.
func tame(text string, painted bool) string {
	var b strings.Builder
	for text != "" {
		i := strings.IndexByte(text, 0x1b)
		if i < 0 || !painted {
			b.WriteString(harmless(text))
			break
		}
		b.WriteString(harmless(text[:i]))
		n := paintLength(text[i:])
		if n > 0 {
			b.WriteString(text[i : i+n])
		} else {
			n = 1
			b.WriteRune(unicode.ReplacementChar)
		}
		text = text[i+n:]
	}
	return b.String()
}

// paintLength is the length of the escape that a text begins with if it is one
// that only paints, as style makes them; 0 if it is not.
func paintLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text) && i < 6; i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case c < '0' || c > '9':
			return 0
		}
	}
	return 0
}

func harmless(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c):
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
