package starter

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"windlass/events"
	"windlass/schemas"
)

// display shows status events to whoever reads the output.
type display interface {
	// show tells an event that the picture has taken in already.
	show(events.Status)
	// tick lets time pass.
	tick()
	// note tells something on stderr without disturbing the output.
	note(text string)
	// close leaves the last picture behind.
	close()
}

// newDisplay picks the display for the output: JSON lines, a live picture on a
// terminal, or plain lines.
func (a *app) newDisplay(p picture) display {
	if a.json != nil {
		return &jsonDisplay{app: a}
	}
	if file := a.terminal(); file != nil {
		return newScreen(file, a.stderr, fileSize(file), colours(), a.now, p)
	}
	return &plainDisplay{app: a, picture: p}
}

// terminal returns stdout when that is a terminal on which the cursor can move.
func (a *app) terminal() *os.File {
	file, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return file
}

// fileSize reads the size of a terminal anew at each call.
func fileSize(file *os.File) func() (int, int) {
	return func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
}

// colours says whether a terminal gets colours; https://no-color.org.
func colours() bool { return os.Getenv("NO_COLOR") == "" }

// jsonDisplay writes each event as a structured CloudEvent.
type jsonDisplay struct{ app *app }

func (d *jsonDisplay) show(s events.Status) { d.app.json.raw(s.Raw) }
func (d *jsonDisplay) tick()                {}
func (d *jsonDisplay) note(text string)     { d.app.note("%s", text) }
func (d *jsonDisplay) close()               {}

// plainDisplay writes one line per event, and the evidence of failures at the end.
type plainDisplay struct {
	app     *app
	picture picture
}

func (d *plainDisplay) show(s events.Status) {
	fmt.Fprintln(d.app.stdout, plainLine(s.Event))
	if isEnd(s.Event) {
		writeLines(d.app.stdout, failureBlock(d.picture.failuresOf(s.Event)))
	}
}

func (d *plainDisplay) tick()            {}
func (d *plainDisplay) note(text string) { d.app.note("%s", text) }
func (d *plainDisplay) close()           {}

// isEnd says whether the event is the last one of a deployment.
func isEnd(e schemas.Event) bool { return e.Deployment != nil && e.Deployment.Final }

// writeLines writes lines in full width and without colours.
func writeLines(w io.Writer, lines []line) {
	for _, l := range lines {
		fmt.Fprintln(w, l.text())
	}
}
