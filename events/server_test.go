package events

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = 60 * time.Second

// bus is a NATS server with the streams of Windlass, and a connection to it.
type bus struct {
	t         *testing.T
	options   server.Options
	server    *server.Server
	conn      *nats.Conn
	js        jetstream.JetStream
	records   *Records
	revisions *Revisions
	publisher *Publisher
}

func startBus(t *testing.T, change func(*server.Options)) *bus {
	t.Helper()
	b := &bus{t: t, options: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true,
		NoSigs: true, NoLog: true, MaxPayload: 4 << 20,
	}}
	if change != nil {
		change(&b.options)
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	conn, err := Connect(b.server.ClientURL(), ConnectOptions{Name: "test"})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	b.conn = conn
	b.js, err = jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, EnsureStreams(b.context(), b.js))
	b.records, err = OpenRecords(b.context(), b.js)
	require.NoError(t, err)
	b.revisions, err = OpenRevisions(b.context(), b.js)
	require.NoError(t, err)
	b.publisher = NewPublisher(b.js, b.records)
	return b
}

func (b *bus) start() {
	b.t.Helper()
	options := b.options
	s, err := server.NewServer(&options)
	require.NoError(b.t, err)
	s.Start()
	require.True(b.t, s.ReadyForConnections(patience), "the NATS server does not start")
	b.server = s
	_, port, err := net.SplitHostPort(s.Addr().String())
	require.NoError(b.t, err)
	b.options.Port, err = strconv.Atoi(port)
	require.NoError(b.t, err)
}

func (b *bus) stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// restart stops the server and starts it again on the same port and directory, and
// returns when the connection is there again. A connection that has not noticed yet
// says that it is connected, and swallows what is sent.
func (b *bus) restart() {
	b.t.Helper()
	before := b.conn.Stats().Reconnects
	b.stop()
	b.start()
	eventually(b.t, func() bool { return b.conn.Stats().Reconnects > before && b.conn.IsConnected() }, "no connection")
}

func (b *bus) context() context.Context {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.t.Cleanup(cancel)
	return ctx
}

// newest is the sequence of the newest message of a stream.
func (b *bus) newest(stream string) uint64 {
	b.t.Helper()
	s, err := b.js.Stream(b.context(), stream)
	require.NoError(b.t, err)
	return s.CachedInfo().State.LastSeq
}

// message is one message of a stream.
func (b *bus) message(stream string, sequence uint64) *jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.context(), stream)
	require.NoError(b.t, err)
	m, err := s.GetMsg(b.context(), sequence)
	require.NoError(b.t, err)
	return m
}

// messages are the messages of a stream, oldest first.
func (b *bus) messages(stream string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.context(), stream)
	require.NoError(b.t, err)
	state := s.CachedInfo().State
	var messages []*jetstream.RawStreamMsg
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		m, err := s.GetMsg(b.context(), sequence)
		require.NoError(b.t, err)
		messages = append(messages, m)
	}
	return messages
}

// statuses are the status events that are stored, oldest first.
func (b *bus) statuses() []schemas.Event {
	b.t.Helper()
	var all []schemas.Event
	for _, m := range b.messages(StatusStream) {
		status, err := ReadStatus(m.Data)
		require.NoError(b.t, err)
		all = append(all, status)
	}
	return all
}

// publish publishes a message as it is, and waits until it is stored.
func (b *bus) publish(subject string, header nats.Header, body []byte) {
	b.t.Helper()
	_, err := b.js.PublishMsg(b.context(), &nats.Msg{Subject: subject, Header: header, Data: body})
	require.NoError(b.t, err)
}

// command publishes a command and returns its event.
func (b *bus) command(scope schemas.Scope) event.Event {
	b.t.Helper()
	e := deployment(b.t, scope)
	_, err := PublishCommand(b.context(), b.js, scope, e)
	require.NoError(b.t, err)
	return e
}

// deployment is a command that deploys one network.
func deployment(t *testing.T, scope schemas.Scope) event.Event {
	t.Helper()
	e, err := NewCommand(schemas.CommandDeploymentRequested, map[string]any{"document": document(scope)})
	require.NoError(t, err)
	return e
}

func document(scope schemas.Scope) map[string]any {
	return map[string]any{
		"apiVersion": schemas.APIVersion, "kind": schemas.KindInfrastructure,
		"metadata": map[string]any{"name": scope.Infrastructure},
		"spec": map[string]any{
			"environment": scope.Environment,
			"resources":   []any{map[string]any{"name": "backend", "type": "Network"}},
		},
	}
}

func eventually(t *testing.T, condition func() bool, what string, arguments ...any) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond, append([]any{what}, arguments...)...)
}
