package starter

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"windlass/events"
	"windlass/schemas"
)

func TestEachFrameReplacesTheLast(t *testing.T) {
	var out, err strings.Builder
	tree := newTree(users, noon)
	width := 80
	s := newScreen(&out, &err, func() (int, int) { return width, 24 }, false, func() time.Time { return noon }, tree)
	for _, e := range newStory("c", 3).accepted().planned().events {
		tree.apply(e)
		s.show(events.Status{Event: e})
	}
	out.Reset()
	s.tick()
	require.True(t, strings.HasPrefix(out.String(), beginOfFrame+"\x1b[4A\r"+eraseToEnd+"staging/users"), "%q", out.String())

	width = 20
	out.Reset()
	s.tick()
	require.True(t, strings.HasPrefix(out.String(), beginOfFrame+"\x1b[14A\r"), "a terminal that became narrower has wrapped the last frame: %q", out.String())

	out.Reset()
	s.note("hello")
	require.Equal(t, "windlass: hello\n", err.String())
	require.Equal(t, 1, strings.Count(out.String(), eraseToEnd), "the frame makes room once: %q", out.String())
	require.Equal(t, 1, strings.Count(out.String(), "staging/users"), "and is drawn again: %q", out.String())

	out.Reset()
	s.close()
	require.True(t, strings.HasSuffix(out.String(), showCursor))
}

func TestColoursAreLeftOutOnRequest(t *testing.T) {
	l := line{{"users", red}, {"  ready", plain}}
	require.Equal(t, "\x1b[31musers\x1b[0m  ready", l.paint(true))
	require.Equal(t, "users  ready", l.paint(false))
	t.Setenv("NO_COLOR", "1")
	require.False(t, colours())
}

// openTerminal makes a pseudo-terminal of that size and returns both ends.
func openTerminal(t *testing.T, width, height uint16) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}))
	return outside, inside
}

// onTerminal runs the command on a terminal, types the input there, and returns
// all that was shown, stderr too.
func onTerminal(t *testing.T, want ExitCode, url, input string, args ...string) string {
	t.Helper()
	t.Setenv("TERM", "xterm")
	outside, inside := openTerminal(t, 80, 24)
	shown := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(outside) // ends with an error when the inside is closed
		shown <- string(text)
	}()
	_, err := outside.WriteString(input)
	require.NoError(t, err)
	code := Main(t.Context(), append(args, "--nats", url), inside, inside, inside)
	require.NoError(t, inside.Close())
	text := <-shown
	require.NoError(t, outside.Close())
	require.Equal(t, int(want), code, text)
	return text
}

func TestATerminalShowsTheTreeAndLeavesItBehind(t *testing.T) {
	w := startWorker(t, tells(func(id string) *story {
		return newStory(id, 3).accepted().planned().creating("backend").ready("backend").failing().
			deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), Final: true})
	}))
	text := onTerminal(t, ExitFailed, w.url, "", "deploy", file(t, "users.yaml", usersDocument), "--wait")
	require.Contains(t, text, hideCursor)
	_, last, found := strings.Cut(text[strings.LastIndex(text, beginOfFrame):], eraseToEnd)
	require.True(t, found)
	require.Contains(t, last, "\x1b[1mstaging/users\x1b[0m  revision 3  \x1b[31mfailed\x1b[0m")
	require.Contains(t, last, "\x1b[32m✔ \x1b[0mbackend")
	require.Contains(t, last, "exit code 3")
	require.Contains(t, last, showCursor)
	require.Contains(t, last, "windlass: staging/users: revision 3 failed")
}

func TestDestroyAsksOnATerminal(t *testing.T) {
	w := startWorker(t, nil)
	w.know(usersStatus())
	text := onTerminal(t, ExitCancelled, w.url, "n\n", "destroy", "staging/users")
	require.Contains(t, text, "Destroy staging/users and all its data? [y/N] ")
	require.Contains(t, text, "windlass: not destroyed")
	require.Empty(t, w.commands)

	text = onTerminal(t, ExitDone, w.url, "y\n", "destroy", "staging/users")
	require.Contains(t, text, "is stored")
}
