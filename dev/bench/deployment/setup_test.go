// Package deployment measures what Windlass adds to the servers and the container
// engine that it drives: latency, throughput and memory, each as a ratio to the
// bare thing in the same run.
//
//	go test -run '^$' -bench . -benchtime 1x ./dev/bench/deployment
package deployment

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"windlass/activities"
	"windlass/dev/stack"
	"windlass/events"
	"windlass/schemas"
	"windlass/worker"
)

const engineSocket = "/var/run/docker.sock"

// bench is a stack with a client to each of its servers.
type bench struct {
	stack    *stack.Stack
	js       jetstream.JetStream
	temporal client.Client
	// environment keeps the containers of one benchmark apart.
	environment string
	// firstCall is when the provider called the engine first since it was reset, in
	// nanoseconds since 1970.
	firstCall atomic.Int64
}

func start(b *testing.B) *bench {
	b.Helper()
	s, err := stack.Start(b.Context(), stack.Config{DataDir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Stop(context.Background())) })
	conn, err := events.Connect(s.NATSURL(), events.ConnectOptions{Name: "bench"})
	require.NoError(b, err)
	b.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(b, err)
	require.NoError(b, events.EnsureStreams(b.Context(), js))
	c, err := client.Dial(client.Options{HostPort: s.TemporalAddress(), Namespace: s.Namespace(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	return &bench{stack: s, js: js, temporal: c, environment: "bench-" + uuid.NewString()[:8]}
}

// startWorker runs a real worker in this process, whose calls to the engine pass
// by a proxy that notes when the first one came.
func (s *bench) startWorker(b *testing.B) {
	b.Helper()
	s.startWorkerWith(b, func(*worker.Config) {})
}

func (s *bench) startWorkerWith(b *testing.B, change func(*worker.Config)) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	config := worker.Config{
		NATSURL: s.stack.NATSURL(), TemporalAddress: s.stack.TemporalAddress(), Namespace: s.stack.Namespace(),
		MasterKeyFile: masterKey(b), DockerHost: "unix://" + s.proxy(b), Logger: slog.New(slog.DiscardHandler),
		Ready: func() { close(ready) },
	}
	change(&config)
	go func() { ended <- worker.Run(ctx, config) }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(b, err)
	}
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-ended)
	})
}

func masterKey(b *testing.B) string {
	b.Helper()
	key := make([]byte, activities.MasterKeySize)
	rand.Read(key)
	path := filepath.Join(b.TempDir(), "master.key")
	require.NoError(b, os.WriteFile(path, key, 0o600))
	return path
}

func (s *bench) proxy(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", path)
	require.NoError(b, err)
	var dialer net.Dialer
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", engineSocket)
		}},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.firstCall.CompareAndSwap(0, time.Now().UnixNano())
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return path
}

func (s *bench) scope(name string) schemas.Scope {
	return schemas.Scope{Environment: s.environment, Infrastructure: name}
}

// document is an Infrastructure of so many containers that need nothing.
func (s *bench) document(name string, containers int) string {
	text := fmt.Sprintf("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: %s}\nspec:\n  environment: %s\n  resources:\n", name, s.environment)
	if containers == 0 {
		return text[:len(text)-1] + " []\n"
	}
	for i := range containers {
		text += fmt.Sprintf("    - {name: c%d, type: Compute, properties: {image: \"%s\", restartPolicy: Never}}\n", i, image)
	}
	return text
}

// publish sends a command and returns its event's id.
func (s *bench) publish(b *testing.B, scope schemas.Scope, eventType string, data any) string {
	b.Helper()
	e, err := events.NewCommand(eventType, data)
	require.NoError(b, err)
	_, err = events.PublishCommand(b.Context(), s.js, scope, e)
	require.NoError(b, err)
	return e.ID()
}

func (s *bench) deploy(b *testing.B, name string, containers int) string {
	b.Helper()
	return s.publish(b, s.scope(name), schemas.CommandDeploymentRequested, map[string]any{"document": s.document(name, containers)})
}

// follow reads the events of one Infrastructure from now on.
func (s *bench) follow(b *testing.B, name string, types ...string) *events.Follower {
	b.Helper()
	scope := s.scope(name)
	f, err := events.Follow(b.Context(), s.js, events.FollowOptions{Scope: &scope, Types: types})
	require.NoError(b, err)
	b.Cleanup(f.Close)
	return f
}

// await waits until a command's deployment has ended well.
func await(b *testing.B, f *events.Follower, command string) events.Status {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	for {
		status, err := f.Next(ctx)
		require.NoError(b, err)
		if status.CausationID == command && status.Deployment != nil && status.Deployment.Final {
			require.Equal(b, schemas.StatusDeploymentSucceeded, status.Type, string(status.Raw))
			return status
		}
	}
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
