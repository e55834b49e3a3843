package starter

import (
	"strings"
	"unicode"
)

// colour is the number of a foreground colour or attribute of a terminal.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	cyan   colour = "36"
)

// span is a piece of a line in one colour.
type span struct {
	text   string
	colour colour
}

// line is one line on the terminal.
type line []span

// text is the line without colours.
func (l line) text() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// cut shortens the line to at most width runes; an ellipsis marks the cut. A
// width of 0 or less is unlimited.
func (l line) cut(width int) line {
	total := 0
	for _, s := range l {
		total += len([]rune(s.text))
	}
	if width <= 0 || total <= width {
		return l
	}
	left, out := width-1, line{}
	for _, s := range l {
		runes := []rune(s.text)
		if len(runes) >= left {
			return append(out, span{string(runes[:left]) + "…", s.colour})
		}
		left -= len(runes)
		out = append(out, s)
	}
	return out
}

// paint writes the line with or without colours.
func (l line) paint(colours bool) string {
	if !colours {
		return l.text()
	}
	var b strings.Builder
	for _, s := range l {
		if s.colour == plain || strings.TrimSpace(s.text) == "" {
			b.WriteString(s.text)
			continue
		}
		b.WriteString("\x1b[" + string(s.colour) + "m" + s.text + "\x1b[0m")
	}
	return strings.TrimRight(b.String(), " ")
}

// pad fills the text with spaces up to width runes, and cuts a longer one.
func pad(text string, width int) string {
	n := len([]rune(text))
	if n > width {
		return line{{text: text}}.cut(width).text()
	}
	return text + strings.Repeat(" ", width-n)
}

// printable replaces what would move the cursor or change the terminal, since
// log lines and messages come from containers and engines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return '�'
		}
	}, stripEscapes(strings.TrimRight(text, "\r\n")))
}

// stripEscapes takes out the colour sequences that programs write to their logs.
func stripEscapes(text string) string {
	var b strings.Builder
	for {
		start := strings.Index(text, "\x1b[")
		if start < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:start])
		rest := text[start+2:]
		end := strings.IndexFunc(rest, func(r rune) bool { return r >= 0x40 && r <= 0x7e })
		if end < 0 {
			return b.String()
		}
		text = rest[end+1:]
	}
}
