package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"windlass/activities"
	"windlass/dev/stack"
	"windlass/events"
)

// patience is how long something may take that is bound to happen. It is far more
// than all timeouts together that are waited out on the way, on a busy machine.
const patience = 8 * time.Minute

// world is a stack of servers with a worker that reaches them, and the container
// engine, through gates.
type world struct {
	dir    string
	config workerConfig
	worker *process
	// fleet is what the steps of the walk move that kill a worker during rollouts.
	fleet *fleet

	engine, temporal *httpGate
	nats             *natsGate

	stack    *stack.Stack
	conn     *nats.Conn
	js       jetstream.JetStream
	audience *audience
	client   client.Client
}

// newWorld starts the servers and the gates, no worker yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	began := time.Now()
	t.Cleanup(func() {
		showLogs(t, w.dir, began)
		requireNoRace(t, w.dir)
	})
	w.startStack(t)
	w.config.MasterKeyFile = filepath.Join(w.dir, "master.key")
	w.config.SecretsDir = filepath.Join(w.dir, "secrets")
	w.config.PostgresImage = "windlass.local/postgres:{version}"
	w.config.RedisImage = "windlass.local/redis:{version}"
	w.config.ProxyBinary = proxyBinary
	key := make([]byte, activities.MasterKeySize)
	rand.Read(key)
	require.NoError(t, os.WriteFile(w.config.MasterKeyFile, key, 0o600))
	require.NoError(t, os.Mkdir(w.config.SecretsDir, 0o700))
	w.engine, w.config.DockerHost = newEngineGate(t)
	w.temporal, w.config.TemporalAddress = newTemporalGate(t, w.stack.TemporalAddress())
	w.nats = newNATSGate(t, strings.TrimPrefix(w.stack.NATSURL(), "nats://"))
	w.config.NATSURL = "nats://" + w.nats.address
	t.Cleanup(func() {
		if w.worker != nil {
			w.worker.kill()
		}
	})
	return w
}

// starts bounds the stacks that start at a time: all at once would take longer
// than each may need.
var starts = make(chan struct{}, 2)

// startStack starts the servers, on the data of an earlier time if there is any.
func (w *world) startStack(t *testing.T) {
	t.Helper()
	starts <- struct{}{}
	var err error
	w.stack, err = stack.Start(t.Context(), stack.Config{DataDir: filepath.Join(w.dir, "data")})
	<-starts
	require.NoError(t, err)
	running := w.stack
	t.Cleanup(func() { require.NoError(t, stopStack(running)) })
	w.config.Namespace = w.stack.Namespace()
	w.connect(t, w.stack.NATSURL(), w.stack.TemporalAddress())
}

func stopStack(s *stack.Stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Stop(ctx)
}

// connect reaches the servers past the gates.
func (w *world) connect(t *testing.T, natsURL, temporalAddress string) {
	t.Helper()
	var err error
	w.conn, err = nats.Connect(natsURL)
	require.NoError(t, err)
	t.Cleanup(w.conn.Close)
	w.js, err = jetstream.New(w.conn)
	require.NoError(t, err)
	require.NoError(t, events.EnsureStreams(t.Context(), w.js))
	w.audience = listen(t, w.js)
	w.client, err = client.Dial(client.Options{HostPort: temporalAddress, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(w.client.Close)
}

// startWorker starts a worker and returns when it takes commands.
func (w *world) startWorker(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(w.config)
	require.NoError(t, err)
	w.worker = startProcess(t, w.dir, roleWorker, string(text))
	w.worker.until(t, "ready")
}

// redirect lets the gates lead to servers that were started anew.
func (w *world) redirect(t *testing.T) {
	t.Helper()
	w.temporal.shut()
	w.temporal, w.config.TemporalAddress = newTemporalGate(t, w.stack.TemporalAddress())
	w.nats.shut()
	w.nats = newNATSGate(t, strings.TrimPrefix(w.stack.NATSURL(), "nats://"))
	w.config.NATSURL = "nats://" + w.nats.address
}
