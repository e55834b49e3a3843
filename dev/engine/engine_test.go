package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A machine without an engine is made of name spaces: nothing of the real one's /run, data and network is seen in there, and all
// that was started ends with the shell.
const withoutEngine = `set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/lib/docker
mount -t tmpfs none /var/log
unset DOCKER_HOST
`

func onMachineWithoutEngine(t *testing.T, script string) (stdout, stderr string, err error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "engine")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(output))

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", withoutEngine+script, "sh", binary)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err = command.Run()
	return out.String(), problems.String(), err
}

func TestMachineWithoutEngineGetsOneThatOutlivesTheCommand(t *testing.T) {
	// The pipe ends only when nobody holds it open: a daemon that kept its starter's output would hang this.
	stdout, stderr, err := onMachineWithoutEngine(t, `
"$1" | cat
echo again
"$1" | cat
echo end
`)
	require.NoError(t, err, stderr)
	require.Equal(t, "No container engine answers at unix:///var/run/docker.sock (no such file or directory).\n"+
		"Starting dockerd, log in /var/log/windlass-dockerd.log ...\n"+
		"The container engine is up.\n"+
		"again\nend\n", stdout)
}

func TestTwoAtOnceStartOneDaemon(t *testing.T) {
	stdout, stderr, err := onMachineWithoutEngine(t, `
"$1" & first=$!
"$1" & second=$!
wait $first
wait $second
pidof dockerd | wc -w
`)
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "\n1\n")
}

func TestDaemonThatIsAlreadyStartingIsWaitedFor(t *testing.T) {
	stdout, stderr, err := onMachineWithoutEngine(t, `
dockerd > /dev/null 2>&1 &
"$1"
pidof dockerd | wc -w
`)
	require.NoError(t, err, stderr)
	require.Regexp(t, `\n1\n$`, stdout)
}

func TestDaemonThatCannotStartShowsItsLog(t *testing.T) {
	_, stderr, err := onMachineWithoutEngine(t, `
mount -t tmpfs none /etc/docker
echo '{"no-such-option": true}' > /etc/docker/daemon.json
"$1"
`)
	require.Error(t, err)
	require.Contains(t, stderr, "the daemon ended")
	require.Contains(t, stderr, "no-such-option")
}

func TestNamedEngineThatDoesNotAnswerIsNotReplaced(t *testing.T) {
	_, stderr, err := onMachineWithoutEngine(t, `DOCKER_HOST=unix:///run/nothing.sock "$1"`)
	require.Error(t, err)
	require.Contains(t, stderr, "no container engine answers at DOCKER_HOST=unix:///run/nothing.sock: start it")
}
