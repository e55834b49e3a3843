package integration

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a part of Windlass that runs on its own and can be killed.
type process struct {
	command *exec.Cmd
	logFile string
	lines   chan string
	ended   chan struct{}
}

// startProcess runs a command. What it logs goes to a new file in dir.
func startProcess(t *testing.T, dir string, command *exec.Cmd) *process {
	t.Helper()
	file, err := os.CreateTemp(dir, filepath.Base(command.Path)+"-*.log")
	require.NoError(t, err)
	p := &process{command: command, logFile: file.Name(), lines: make(chan string, 100), ended: make(chan struct{})}
	command.Stderr = file
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	// The process ends with the tests, however they end: the kernel watches the thread that started it.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			p.lines <- scanner.Text()
		}
		close(p.lines)
		_ = command.Wait()
	}()
	require.NoError(t, <-started)
	require.NoError(t, file.Close())
	return p
}

// until waits for the line that starts with the prefix and returns all lines up to it.
func (p *process) until(t *testing.T, prefix string) []string {
	t.Helper()
	deadline := time.After(patience)
	var lines []string
	for {
		select {
		case line, more := <-p.lines:
			require.True(t, more, "the process ended early: %q\n%s", lines, p.log(t))
			lines = append(lines, line)
			if strings.HasPrefix(line, prefix) {
				return lines
			}
		case <-deadline:
			require.FailNow(t, "the process does not get ready", "%q\n%s", lines, p.log(t))
		}
	}
}

// kill ends the process as the kernel does when memory runs out: at once and
// without its knowing. It returns when the process is gone.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// stop asks the process to end, unless it has, and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		require.NoError(t, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(t, "the process does not end", p.log(t))
	}
	require.Zero(t, p.command.ProcessState.ExitCode(), p.log(t))
}

func (p *process) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.logFile)
	require.NoError(t, err)
	return string(text)
}

// requireNoRace fails when the race detector found something in one of the
// processes that logged into the directory.
func requireNoRace(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, trouble := range []string{"WARNING: DATA RACE", "\npanic: ", "\nfatal error: "} {
			if at := strings.Index(string(text), trouble); at >= 0 {
				require.Failf(t, "a process broke", "%s:\n%.6000s", filepath.Base(file), text[at:])
			}
		}
	}
}

var logMutex sync.Mutex

// showLogs prints the ends of the logs in the directory when the test has failed.
func showLogs(t *testing.T, dir string, from time.Time) {
	if !t.Failed() {
		return
	}
	logMutex.Lock()
	defer logMutex.Unlock()
	files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().Before(from) {
			continue
		}
		text, _ := os.ReadFile(file)
		var lines []string
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "level=DEBUG") {
				lines = append(lines, line)
			}
		}
		t.Logf("%s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-60):], ""))
	}
}
