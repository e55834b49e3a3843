package starter

import (
	"fmt"
	"io"
	"strings"
)

// table is text in columns, each as wide as its widest cell.
type table struct {
	rows [][]span
}

// head adds the row of column names.
func (t *table) head(names ...string) {
	cells := make([]span, len(names))
	for n, name := range names {
		cells[n] = span{name, dim}
	}
	t.rows = append(t.rows, cells)
}

// row adds a row.
func (t *table) row(cells ...span) { t.rows = append(t.rows, cells) }

// lines lays the table out.
func (t *table) lines() []line {
	var widths []int
	for _, row := range t.rows {
		for n, cell := range row {
			if n == len(widths) {
				widths = append(widths, 0)
			}
			widths[n] = max(widths[n], len([]rune(cell.text)))
		}
	}
	lines := make([]line, len(t.rows))
	for i, row := range t.rows {
		for n, cell := range row {
			text := cell.text
			if n < len(row)-1 {
				text = pad(text, widths[n]) + "  "
			}
			lines[i] = append(lines[i], span{text, cell.colour})
		}
	}
	return lines
}

// cell is text without colour; nothing is shown as "-".
func cell(text string) span {
	if text == "" {
		text = "-"
	}
	return span{text: text}
}

// number is a cell with a number; 0 is shown as "-".
func number(n int) span {
	if n == 0 {
		return cell("")
	}
	return cell(fmt.Sprint(n))
}

// print writes lines to stdout, in colours on a terminal.
func (a *app) print(lines []line) {
	paint := a.terminal() != nil && colours()
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.paint(paint) + "\n")
	}
	_, _ = io.WriteString(a.stdout, b.String())
}
