package starter

import (
	"fmt"
	"io"
	"strings"
	"time"

	"windlass/events"
)

// The control sequences that a screen uses.
const (
	hideCursor   = "\x1b[?25l"
	showCursor   = "\x1b[?25h"
	eraseToEnd   = "\x1b[J"
	cursorUp     = "\x1b[%dA"
	beginOfFrame = "\x1b[?2026h" // one repaint for the whole frame, where the terminal can
	endOfFrame   = "\x1b[?2026l"
)

// screen draws a picture in place on a terminal: each frame replaces the last one.
type screen struct {
	out, err io.Writer
	size     func() (width, height int)
	colours  bool
	now      func() time.Time
	picture  picture
	// widths are those of the lines of the last frame. A terminal that became
	// narrower since has wrapped them, so they may take up more lines now.
	widths []int
}

func newScreen(out, err io.Writer, size func() (int, int), colours bool, now func() time.Time, p picture) *screen {
	s := &screen{out: out, err: err, size: size, colours: colours, now: now, picture: p}
	fmt.Fprint(out, hideCursor)
	s.draw(false)
	return s
}

func (s *screen) show(events.Status) { s.draw(false) }
func (s *screen) tick()              { s.draw(false) }

// close draws the whole picture, however high, and leaves it there.
func (s *screen) close() {
	s.draw(true)
	fmt.Fprint(s.out, showCursor)
}

// note writes a line above the picture.
func (s *screen) note(text string) {
	width, _ := s.size()
	fmt.Fprint(s.out, s.erase(width))
	s.widths = nil
	fmt.Fprintf(s.err, "windlass: %s\n", text)
	s.draw(false)
}

func (s *screen) draw(last bool) {
	width, height := s.size()
	bound := height - 1
	if last {
		bound = 0
	}
	var b strings.Builder
	b.WriteString(beginOfFrame + s.erase(width))
	s.widths = s.widths[:0]
	told := false // what is below an empty line is a failure, which the last frame tells in full
	for _, l := range s.picture.render(s.now(), bound) {
		told = told || len(l) == 0
		if !last || !told {
			l = l.cut(width - 1) // a line that fills the last column would wrap
		}
		b.WriteString(l.paint(s.colours) + "\r\n")
		s.widths = append(s.widths, len([]rune(l.text())))
	}
	b.WriteString(endOfFrame)
	_, _ = io.WriteString(s.out, b.String())
}

// erase is the sequence that takes away the last frame.
func (s *screen) erase(width int) string {
	rows := 0
	for _, w := range s.widths {
		rows += max(1, (w+width-1)/width)
	}
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf(cursorUp, rows) + "\r" + eraseToEnd
}
