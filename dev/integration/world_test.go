package integration

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"windlass/activities"
	"windlass/events"
)

// patience is how long something may take that is bound to happen. It is far more
// than all timeouts together that are waited out on the way, on a busy machine.
const patience = 8 * time.Minute

// world is NATS and Temporal with a worker that reaches them, and the container
// engine, through gates.
type world struct {
	dir    string
	config workerConfig
	worker *process
	// fleet is what the steps of the walk move that kill a worker during rollouts.
	fleet *fleet

	engine, temporal *httpGate
	nats             *natsGate

	// servers are NATS and Temporal, natsURL and temporalAddress where they listen themselves.
	servers         *process
	natsURL         string
	temporalAddress string

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
	w.startServers(t)
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
	w.temporal, w.config.TemporalAddress = newTemporalGate(t, w.temporalAddress)
	w.nats = newNATSGate(t, strings.TrimPrefix(w.natsURL, "nats://"))
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

// startServers starts NATS and Temporal, on the data of an earlier time if there is any.
func (w *world) startServers(t *testing.T) {
	t.Helper()
	w.servers = w.runServers(t, "--no-worker")
	running := w.servers
	t.Cleanup(func() { running.stop(t) })
	w.connect(t)
}

// runServers runs windlass-dev and returns when it is ready.
func (w *world) runServers(t *testing.T, arguments ...string) *process {
	t.Helper()
	starts <- struct{}{}
	defer func() { <-starts }()
	arguments = append(arguments, "--data-dir", filepath.Join(w.dir, "data"), "--no-ui", "--nats-address", "127.0.0.1:0", "--temporal-address", "127.0.0.1:0")
	p := startProcess(t, w.dir, exec.Command(serversBinary, arguments...))
	lines := p.until(t, "ready")
	value := func(name string) string {
		at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+" ") })
		require.GreaterOrEqual(t, at, 0, "%q", lines)
		return strings.TrimSpace(strings.TrimPrefix(lines[at], name))
	}
	w.natsURL, w.temporalAddress = value("NATS"), value("Temporal")
	return p
}

// connect reaches the servers past the gates.
func (w *world) connect(t *testing.T) {
	t.Helper()
	var err error
	w.conn, err = nats.Connect(w.natsURL)
	require.NoError(t, err)
	t.Cleanup(w.conn.Close)
	w.js, err = jetstream.New(w.conn)
	require.NoError(t, err)
	require.NoError(t, events.EnsureStreams(t.Context(), w.js))
	w.audience = listen(t, w.js)
	w.client, err = client.Dial(client.Options{HostPort: w.temporalAddress, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(w.client.Close)
}

// startWorker starts a worker and returns when it takes commands.
func (w *world) startWorker(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(w.config)
	require.NoError(t, err)
	command := exec.Command(os.Args[0], string(text))
	command.Env = append(os.Environ(), workerVariable+"=1")
	w.worker = startProcess(t, w.dir, command)
	w.worker.until(t, "ready")
}

// redirect lets the gates lead to servers that were started anew.
func (w *world) redirect(t *testing.T) {
	t.Helper()
	w.temporal.shut()
	w.temporal, w.config.TemporalAddress = newTemporalGate(t, w.temporalAddress)
	w.nats.shut()
	w.nats = newNATSGate(t, strings.TrimPrefix(w.natsURL, "nats://"))
	w.config.NATSURL = "nats://" + w.nats.address
}
