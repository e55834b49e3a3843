package stack_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"windlass/dev/stack"
)

func start(t *testing.T, c stack.Config) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop(s)) })
	return s
}

func stop(s *stack.Stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return s.Stop(ctx)
}

func dialTemporal(t *testing.T, s *stack.Stack) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{
		HostPort:  s.TemporalAddress(),
		Namespace: s.Namespace(),
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func dialJetStream(t *testing.T, s *stack.Stack, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	connection, err := nats.Connect(s.NATSURL(), options...)
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	js, err := jetstream.New(connection)
	require.NoError(t, err)
	return js
}

const (
	taskQueue      = "stack-test"
	awaitSignal    = "AwaitSignal"
	continueSignal = "continue"
)

func awaitSignalWorkflow(ctx workflow.Context) (string, error) {
	var answer string
	workflow.GetSignalChannel(ctx, continueSignal).Receive(ctx, &answer)
	return answer, nil
}

func startWorker(t *testing.T, c client.Client) worker.Worker {
	t.Helper()
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(awaitSignalWorkflow, workflow.RegisterOptions{Name: awaitSignal})
	require.NoError(t, w.Start())
	return w
}

func TestARestartedStackResumesWhatWasOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()

	first := start(t, stack.Config{DataDir: dir})
	temporal := dialTemporal(t, first)
	w := startWorker(t, temporal)
	run, err := temporal.ExecuteWorkflow(ctx,
		client.StartWorkflowOptions{ID: "waiting", TaskQueue: taskQueue}, awaitSignal)
	require.NoError(t, err)
	js := dialJetStream(t, first)
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept.>"}})
	require.NoError(t, err)
	_, err = js.Publish(ctx, "kept.message", []byte("still here"))
	require.NoError(t, err)
	w.Stop()
	temporal.Close()
	require.NoError(t, stop(first))

	second := start(t, stack.Config{DataDir: dir})
	temporal = dialTemporal(t, second)
	w = startWorker(t, temporal)
	t.Cleanup(w.Stop)
	require.NoError(t, temporal.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), continueSignal, "went on"))
	var answer string
	require.NoError(t, temporal.GetWorkflow(ctx, run.GetID(), run.GetRunID()).Get(ctx, &answer))
	require.Equal(t, "went on", answer)

	kept, err := dialJetStream(t, second).Stream(ctx, "KEPT")
	require.NoError(t, err)
	message, err := kept.GetLastMsgForSubject(ctx, "kept.message")
	require.NoError(t, err)
	require.Equal(t, "still here", string(message.Data))
}

func TestTwoStacksRunInOneProcess(t *testing.T) {
	t.Parallel()
	one := start(t, stack.Config{DataDir: t.TempDir()})
	two := start(t, stack.Config{DataDir: t.TempDir()})
	require.NotEqual(t, one.NATSURL(), two.NATSURL())
	require.NotEqual(t, one.TemporalAddress(), two.TemporalAddress())

	temporal := dialTemporal(t, one)
	_, err := temporal.ExecuteWorkflow(t.Context(),
		client.StartWorkflowOptions{ID: "only-in-one", TaskQueue: taskQueue}, awaitSignal)
	require.NoError(t, err)
	_, err = dialTemporal(t, two).DescribeWorkflowExecution(t.Context(), "only-in-one", "")
	require.ErrorContains(t, err, "not found")
}

func TestNATSIsReachedWithoutAPort(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{DataDir: t.TempDir()})
	js := dialJetStream(t, s, nats.InProcessServer(s))
	require.NoError(t, js.Conn().FlushTimeout(10*time.Second))
	require.Equal(t, "pipe", js.Conn().ConnectedAddr())

	limits := s.NATSServer().JetStreamConfig()
	require.True(t, limits.SyncAlways)
	require.Equal(t, int64(16<<30), limits.MaxStore)
	require.Equal(t, int64(4<<20), js.Conn().MaxPayload())
}

func TestTheWebUIAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{DataDir: t.TempDir(), UI: true})
	for _, path := range []string{"/", "/api/v1/namespaces/default"} {
		response, err := http.Get(s.UIURL() + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
	}
}

func TestTheDataDirectoryIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "with ? and # and %41")
	start(t, stack.Config{DataDir: dir})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.FileExists(t, filepath.Join(dir, "temporal", "temporal.db"))
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	address := taken.Addr().String()

	for server, c := range map[string]stack.Config{
		"NATS":     {NATSAddress: address},
		"Temporal": {TemporalAddress: address},
		"web UI":   {UIAddress: address, UI: true},
	} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			c.DataDir = t.TempDir()
			_, err := stack.Start(t.Context(), c)
			var addressError *stack.AddressError
			require.ErrorAs(t, err, &addressError)
			require.Equal(t, server, addressError.Server)
			require.EqualError(t, err, server+" cannot listen on "+address+": address already in use")
			start(t, stack.Config{DataDir: c.DataDir})
		})
	}
}

func TestAStackCannotStartWithoutADirectory(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), stack.Config{})
	require.ErrorContains(t, err, "data directory")
}

func TestStopCanBeCalledTwice(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{DataDir: t.TempDir()})
	require.NoError(t, stop(s))
	require.NoError(t, stop(s))
}
