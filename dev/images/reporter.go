package images

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	// reportInterval is how often a line of a chatty tool is shown.
	reportInterval = 5 * time.Second
	// keptLines is how many lines a failure shows.
	keptLines = 10
)

// reporter shows what a chatty tool does without repeating all it says: a line now and then. It keeps the last lines for the
// error message. It is safe for concurrent use, as a tool's two outputs are.
type reporter struct {
	mu        sync.Mutex
	out       io.Writer
	reference string
	started   time.Time
	shown     time.Time
	partial   string
	lines     []string
}

func newReporter(out io.Writer, reference string) *reporter {
	now := time.Now()
	return &reporter{out: out, reference: reference, started: now, shown: now}
}

// step shows a line at once.
func (r *reporter) step(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.show(fmt.Sprintf(format, arguments...))
}

// Write takes what the tool prints, cut anywhere.
func (r *reporter) Write(data []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := strings.Split(r.partial+string(data), "\n")
	r.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		line = strings.TrimSpace(strings.TrimPrefix(line, "I: "))
		if line == "" {
			continue
		}
		r.lines = append(r.lines, line)
		if len(r.lines) > keptLines {
			r.lines = r.lines[1:]
		}
		if time.Since(r.shown) >= reportInterval {
			r.show(line)
		}
	}
	return len(data), nil
}

func (r *reporter) show(line string) {
	r.shown = time.Now()
	fmt.Fprintf(r.out, "%s: %3ds %s\n", r.reference, int(time.Since(r.started).Seconds()), line)
}

// last returns the last lines that the tool printed.
func (r *reporter) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(append(r.lines, r.partial), "\n")
}
