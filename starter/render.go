package starter

import (
	"fmt"
	"strings"
	"time"

	"windlass/schemas"
)

// spinner turns while something moves.
var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// spinnerStep is how long one image of the spinner stays.
const spinnerStep = 100 * time.Millisecond

// notBegun is the state of what still waited when the deployment ended.
const notBegun = "not begun"

// render draws the tree as it is at now. A height above 0 bounds the lines: then
// resources at rest are folded into one line, so that what moves stays in sight.
func (t *tree) render(now time.Time, height int) []line {
	lines := []line{t.header(now, 0)}
	rows, folded := t.rows, 0
	if height > 0 && len(rows)+1 > height {
		rows, folded = t.fold(height - 2)
	}
	nameWidth, kindWidth, stateWidth := 4, len(schemas.TypeDatabase), len(notBegun)
	for _, r := range rows {
		kindWidth = max(kindWidth, len(r.kind))
		nameWidth = min(max(nameWidth, len([]rune(r.name))), 24)
	}
	for _, r := range rows {
		lines = append(lines, t.rowLine(r, now, nameWidth, kindWidth, stateWidth))
	}
	if folded > 0 {
		lines = append(lines, line{{fmt.Sprintf("  … %d more", folded), dim}})
	}
	if !t.ended.IsZero() {
		lines = append(lines, failureBlock(t.failures)...)
	}
	return bound(lines, height)
}

// bound cuts off what is below height lines, and says so. A height of 0 or less
// is unlimited.
func bound(lines []line, height int) []line {
	if height <= 0 || len(lines) <= height {
		return lines
	}
	cut := lines[:height-1]
	return append(cut[:len(cut):len(cut)], line{{fmt.Sprintf("  … %d more lines", len(lines)-len(cut)), dim}})
}

// header is the line above the resources; the name fills at least that width.
func (t *tree) header(now time.Time, width int) line {
	name := t.scope.String()
	l := line{{pad(name, max(width, len(name))), bold}}
	if t.revision > 0 {
		l = append(l, span{fmt.Sprintf("  revision %d", t.revision), plain})
	}
	state := t.state
	if state == "" {
		state = "sent"
	}
	l = append(l, span{"  ", plain}, span{state, headerColour(state)})
	if t.rollbackTo != nil {
		l = append(l, span{" to " + revisionWords(*t.rollbackTo), headerColour(state)})
	}
	end := t.ended
	if end.IsZero() {
		end = now
	}
	if !t.began.IsZero() && end.After(t.began) {
		l = append(l, span{"  " + elapsed(end.Sub(t.began)), dim})
	}
	if t.unchanged > 0 {
		l = append(l, span{fmt.Sprintf("  %d unchanged", t.unchanged), dim})
	}
	return l
}

// rowLine is the line of one resource.
func (t *tree) rowLine(r *row, now time.Time, nameWidth, kindWidth, stateWidth int) line {
	symbol, paint := stateSymbol(r.state, now)
	state, over := string(r.state), !t.ended.IsZero()
	switch {
	case over && r.state == waiting:
		state = notBegun
	case over && symbol == spin(now):
		symbol = "◌" // nobody works on it any more
	}
	l := line{
		{symbol + " ", paint},
		{pad(r.name, nameWidth) + "  ", plain},
		{pad(string(r.kind), kindWidth) + "  ", dim},
		{pad(state, stateWidth) + "  ", paint},
		{pad(age(r.since, now), 4) + "  ", dim},
	}
	switch blockers := t.blockers(r); {
	case over && r.failure == nil:
	case r.failure != nil:
		l = append(l, span{printable(r.failure.Message), red})
	case r.state == waiting && len(blockers) > 0:
		l = append(l, span{"waits for " + strings.Join(blockers, ", "), yellow})
	case !r.done():
		l = append(l, span{printable(r.cause), dim})
	}
	return l
}

// fold picks the rows that fit: what moves or failed first, then what waits, in
// the order of the tree. It returns how many were left out.
func (t *tree) fold(room int) ([]*row, int) {
	room = max(room, 0)
	picked := make(map[*row]bool, room)
	for _, wanted := range []func(*row) bool{
		func(r *row) bool { return r.state == schemas.ResourceFailed },
		func(r *row) bool { return r.state != waiting && !r.done() },
		func(r *row) bool { return r.state == waiting },
		func(*row) bool { return true },
	} {
		for _, r := range t.rows {
			if len(picked) < room && wanted(r) {
				picked[r] = true
			}
		}
	}
	rows := make([]*row, 0, room)
	for _, r := range t.rows {
		if picked[r] {
			rows = append(rows, r)
		}
	}
	return rows, len(t.rows) - len(rows)
}

func stateSymbol(s schemas.ResourceState, now time.Time) (string, colour) {
	switch s {
	case schemas.ResourceReady:
		return "✔", green
	case schemas.ResourceFailed:
		return "✘", red
	case schemas.ResourceDeleted:
		return "−", dim
	case schemas.ResourceDrifted:
		return "≠", yellow
	}
	if s.Moving() {
		return spin(now), cyan
	}
	return "○", dim
}

func spin(now time.Time) string {
	return spinner[int(now.UnixNano()/int64(spinnerStep))%len(spinner)]
}

func headerColour(state string) colour {
	switch state {
	case "ready", "destroyed":
		return green
	case "failed", "rejected":
		return red
	case "rolling back", "rolled back", "cancelled", "paused":
		return yellow
	}
	return cyan
}

// revisionWords names a revision; 0 is none at all.
func revisionWords(revision int) string {
	if revision == 0 {
		return "nothing"
	}
	return fmt.Sprintf("revision %d", revision)
}
