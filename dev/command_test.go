package dev_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"windlass/dev"
)

// asCommand makes the test binary run windlass-dev, so that signals meet a process of its own.
const asCommand = "WINDLASS_TEST_COMMAND"

func TestMain(m *testing.M) {
	var run dev.WorkerFunc
	switch os.Getenv(asCommand) {
	case "":
		os.Exit(m.Run())
	case "stubborn":
		run = func(_ context.Context, c dev.WorkerConfig) error {
			c.Ready()
			select {}
		}
	}
	if err := dev.NewCommand(run).Execute(); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// process is a windlass-dev that runs.
type process struct {
	command *exec.Cmd
	lines   *bufio.Scanner
	stderr  *bytes.Buffer
}

func startProcess(t *testing.T, kind, dataDir string, flags ...string) *process {
	t.Helper()
	flags = append([]string{"--data-dir", dataDir, "--no-ui",
		"--nats-address", "127.0.0.1:0", "--temporal-address", "127.0.0.1:0"}, flags...)
	p := &process{command: exec.Command(os.Args[0], flags...), stderr: &bytes.Buffer{}}
	p.command.Env = append(os.Environ(), asCommand+"="+kind)
	p.command.Stderr = p.stderr
	stdout, err := p.command.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(stdout)
	require.NoError(t, p.command.Start())
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	})
	return p
}

// until reads lines up to the one that starts with the prefix and returns all of them.
func (p *process) until(t *testing.T, prefix string) []string {
	t.Helper()
	var lines []string
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
		if strings.HasPrefix(p.lines.Text(), prefix) {
			return lines
		}
	}
	// What it said is whole, and ours to read, when it has ended.
	_ = p.command.Wait()
	require.Failf(t, "the process ended early", "wanted a line that starts with %q, got %q and on stderr %s", prefix, lines, p.stderr)
	return nil
}

// end waits for the end of the process and returns how it ended.
func (p *process) end(t *testing.T) syscall.WaitStatus {
	t.Helper()
	for p.lines.Scan() {
		// Wait may be called only when the pipe is read to its end.
	}
	if err := p.command.Wait(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return p.command.ProcessState.Sys().(syscall.WaitStatus)
}

func valueOf(t *testing.T, lines []string, name string) string {
	t.Helper()
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	require.Failf(t, "no such line", "%s in %q", name, lines)
	return ""
}

func TestItSaysWhereItListensAndEndsCleanlyOnAnInterrupt(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := startProcess(t, "command", dir)
			lines := p.until(t, "ready")
			require.Len(t, lines, 5)
			require.Regexp(t, `^nats://127\.0\.0\.1:\d+$`, valueOf(t, lines, "NATS"))
			require.Regexp(t, `^127\.0\.0\.1:\d+$`, valueOf(t, lines, "Temporal"))
			require.Equal(t, dir, valueOf(t, lines, "data directory"))
			require.Equal(t, "none", valueOf(t, lines, "worker"))
			require.Regexp(t, `^ready in \d+\.\d\d s$`, lines[4])

			require.NoError(t, p.command.Process.Signal(signal))
			status := p.end(t)
			require.True(t, status.Exited())
			require.Zero(t, status.ExitStatus())
			require.Empty(t, p.stderr.String())
		})
	}
}

func TestASecondInterruptEndsItAtOnce(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "stubborn", t.TempDir())
	require.Equal(t, "running", valueOf(t, p.until(t, "ready"), "worker"))
	require.NoError(t, p.command.Process.Signal(os.Interrupt))
	p.until(t, "stopping")
	require.NoError(t, p.command.Process.Signal(os.Interrupt))
	status := p.end(t)
	require.True(t, status.Signaled())
	require.Equal(t, syscall.SIGINT, status.Signal())
}

func TestWhatWasAcceptedSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startProcess(t, "command", dir)
	lines := p.until(t, "ready")
	js, temporal := connect(t, lines)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "kept.message", []byte("still here"))
	require.NoError(t, err)
	_, err = temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "kept", TaskQueue: "none"}, "Any")
	require.NoError(t, err)
	require.NoError(t, p.command.Process.Kill())
	require.True(t, p.end(t).Signaled())

	p = startProcess(t, "command", dir)
	js, temporal = connect(t, p.until(t, "ready"))
	stream, err := js.Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	message, err := stream.GetLastMsgForSubject(t.Context(), "kept.message")
	require.NoError(t, err)
	require.Equal(t, "still here", string(message.Data))
	_, err = temporal.DescribeWorkflowExecution(t.Context(), "kept", "")
	require.NoError(t, err)
}

func connect(t *testing.T, lines []string) (jetstream.JetStream, client.Client) {
	t.Helper()
	connection, err := nats.Connect(valueOf(t, lines, "NATS"))
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	js, err := jetstream.New(connection)
	require.NoError(t, err)
	temporal, err := client.Dial(client.Options{
		HostPort: valueOf(t, lines, "Temporal"),
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	return js, temporal
}

func TestASecondProcessOnTheSameDirectoryNamesTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startProcess(t, "command", dir)
	first.until(t, "ready")

	second := startProcess(t, "command", dir)
	require.Equal(t, 1, second.end(t).ExitStatus())
	require.Equal(t, "data directory "+dir+" is in use by process "+strconv.Itoa(first.command.Process.Pid)+
		": stop that one, or choose another directory (--data-dir)\n", second.stderr.String())
}

func TestATakenAddressNamesTheFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for _, flag := range []string{"--nats-address", "--temporal-address", "--ui-address"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			_, err := execute(t, t.Context(), nil, "--no-ui=false", flag, taken.Addr().String())
			require.ErrorContains(t, err, "cannot listen on "+taken.Addr().String()+": address already in use: choose another with "+flag)
		})
	}
}

// execute runs the command in this process on free ports until it ends, and returns what it wrote.
func execute(t *testing.T, ctx context.Context, run dev.WorkerFunc, flags ...string) (string, error) {
	t.Helper()
	command := dev.NewCommand(run)
	command.SetArgs(append([]string{"--data-dir", filepath.Join(t.TempDir(), "data"), "--no-ui", "--nats-address", "127.0.0.1:0",
		"--temporal-address", "127.0.0.1:0", "--ui-address", "127.0.0.1:0"}, flags...))
	var stdout bytes.Buffer
	command.SetOut(&stdout)
	command.SetErr(io.Discard)
	err := command.ExecuteContext(ctx)
	return stdout.String(), err
}

func TestTheWorkerIsToldWhereEverythingIs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var got dev.WorkerConfig
	out, err := execute(t, ctx, func(ctx context.Context, c dev.WorkerConfig) error {
		got = c
		c.Ready()
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}, "--docker-host", "tcp://engine:2375", "--postgres-image", "postgres:17", "--redis-image", "redis:8", "--valkey-image", "valkey:9", "--secrets-dir", "/secrets",
		"--providers", "/providers.yaml", "--log-level", "error")
	require.NoError(t, err)
	require.Contains(t, out, "worker          running\n")
	require.Equal(t, "nats://127.0.0.1", regexp.MustCompile(`:\d+$`).ReplaceAllString(got.NATSURL, ""))
	require.NotEmpty(t, got.TemporalAddress)
	require.Equal(t, "default", got.Namespace)
	require.DirExists(t, got.DataDir)
	require.Equal(t, "tcp://engine:2375", got.DockerHost)
	require.Equal(t, "postgres:17", got.PostgresImage)
	require.Equal(t, "redis:8", got.RedisImage)
	require.Equal(t, "valkey:9", got.ValkeyImage)
	require.Equal(t, "/secrets", got.SecretsDir)
	require.Equal(t, "/providers.yaml", got.ProvidersFile)
	require.False(t, got.Logger.Enabled(ctx, slog.LevelWarn))
}

func TestAWorkerThatFailsEndsTheProcessWithItsError(t *testing.T) {
	t.Parallel()
	out, err := execute(t, t.Context(), func(context.Context, dev.WorkerConfig) error {
		return errors.New("no container engine answers")
	})
	require.EqualError(t, err, "worker: no container engine answers")
	require.NotContains(t, out, "ready")
}

func TestAWorkerThatEndsUnaskedEndsTheProcess(t *testing.T) {
	t.Parallel()
	_, err := execute(t, t.Context(), func(context.Context, dev.WorkerConfig) error { return nil })
	require.EqualError(t, err, "the worker ended without being asked to")
}

func TestNoWorkerRunsNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reader, writer := io.Pipe()
	command := dev.NewCommand(func(context.Context, dev.WorkerConfig) error { return errors.New("must not run") })
	command.SetArgs([]string{"--data-dir", t.TempDir(), "--no-ui", "--no-worker", "--nats-address", "127.0.0.1:0", "--temporal-address", "127.0.0.1:0"})
	command.SetOut(writer)
	done := make(chan error, 1)
	go func() {
		done <- command.ExecuteContext(ctx)
		_ = writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready") {
			cancel()
		}
	}
	require.NoError(t, <-done)
}
