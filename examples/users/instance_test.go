package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// lockedBuffer collects log lines of several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// instance is the service in this process, on a free port of the loopback address.
type instance struct {
	url   string
	store *store
	log   *lockedBuffer
	// stop is what SIGTERM does; ended then gives what the server returned.
	stop  context.CancelFunc
	ended <-chan error
}

func startInstance(t *testing.T, databaseURL string) *instance {
	t.Helper()
	config, err := pgxpool.ParseConfig(databaseURL)
	require.NoError(t, err)
	store, err := openStore(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(store.close)

	log := &lockedBuffer{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	require.NoError(t, store.migrate(t.Context(), logger))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveOn(ctx, listener, store, logger) }()
	return &instance{url: "http://" + listener.Addr().String(), store: store, log: log, stop: stop, ended: ended}
}

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// into reads the answer's JSON.
func into[T any](t *testing.T, a answer) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(a.body), &value), a.body)
	return value
}

func (i *instance) ask(t *testing.T, method, path, body string) answer {
	t.Helper()
	return i.askAs(t, method, path, "application/json", body)
}

func (i *instance) askAs(t *testing.T, method, path, contentType, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, i.url+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{status: response.StatusCode, header: response.Header, body: string(content)}
}

func (i *instance) create(t *testing.T, name, email string) user {
	t.Helper()
	body, err := json.Marshal(userInput{Name: name, Email: email})
	require.NoError(t, err)
	created := i.ask(t, http.MethodPost, "/users", string(body))
	require.Equal(t, http.StatusCreated, created.status, created.body)
	return into[user](t, created)
}

// connect opens a connection of the test's own to the database.
func connect(t *testing.T, databaseURL string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { connection.Close(context.Background()) })
	return connection
}
