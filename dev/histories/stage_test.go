// Package histories drives named scenarios on the real servers and the real
// container engine, checks that their histories replay, and with -record writes
// them down for the replay test of the workflows. Only dev may link the server, so
// the recorder is not beside that test.
package histories

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"windlass/dev/images"
	"windlass/dev/kubernetes"
	"windlass/dev/stack"
	"windlass/events"
	"windlass/schemas"
	"windlass/worker"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = 2 * time.Minute

// stage is a stack with a worker, on which scenarios play.
type stage struct {
	js       jetstream.JetStream
	temporal client.Client
	logger   log.Logger
}

// newStage returns a stage on which Temporal suggests a new run to histories of that
// length; 0 is what it does by itself.
func newStage(t *testing.T, longHistory int) *stage {
	t.Helper()
	require.NoError(t, images.Ensure(t.Context(), images.Fixture()))
	proxy, err := images.ProxyBinary(t.Context())
	require.NoError(t, err)
	directory := t.TempDir()
	servers, err := stack.Start(t.Context(), stack.Config{DataDir: filepath.Join(directory, "data"), LongHistory: longHistory})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, servers.Stop(ctx))
	})
	key := filepath.Join(directory, "master.key")
	require.NoError(t, os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600))

	cluster, err := kubernetes.Start(t.Context(), kubernetes.Options{})
	require.NoError(t, err)
	t.Cleanup(cluster.Stop)
	providers := filepath.Join(directory, "providers.yaml")
	require.NoError(t, os.WriteFile(providers, fmt.Appendf(nil, `apiVersion: windlass/v1
kind: Providers
providers:
  - {name: docker, kind: docker}
  - {name: cluster, kind: kubernetes, kubernetes: {kubeconfig: %q}}
`, cluster.Kubeconfig()), 0o600))

	logger := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- worker.Run(ctx, worker.Config{
			NATSURL: servers.NATSURL(), TemporalAddress: servers.TemporalAddress(), Namespace: servers.Namespace(),
			MasterKeyFile: key, ProvidersFile: providers, ProxyBinary: proxy, Logger: logger, Ready: func() { close(ready) },
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
		require.Fail(t, "the worker ended")
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})

	s := &stage{logger: log.NewStructuredLogger(logger)}
	conn, err := events.Connect(servers.NATSURL(), events.ConnectOptions{Name: "histories"})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	s.js, err = jetstream.New(conn)
	require.NoError(t, err)
	s.temporal, err = client.Dial(client.Options{HostPort: servers.TemporalAddress(), Identity: "histories", Namespace: servers.Namespace(), Logger: s.logger})
	require.NoError(t, err)
	t.Cleanup(s.temporal.Close)
	return s
}

// scene is one Infrastructure on the stage, in an environment of its own.
type scene struct {
	*stage
	t     *testing.T
	scope schemas.Scope
	heard *events.Follower
}

// newScene returns a scene whose objects are removed at the end.
func (s *stage) newScene(t *testing.T) *scene {
	t.Helper()
	random := make([]byte, 4)
	rand.Read(random)
	c := &scene{stage: s, t: t, scope: schemas.Scope{Environment: "h" + hex.EncodeToString(random), Infrastructure: "users"}}
	removeAtEnd(t, c.scope.Environment)
	var err error
	c.heard, err = events.Follow(t.Context(), s.js, events.FollowOptions{Scope: &c.scope})
	require.NoError(t, err)
	t.Cleanup(c.heard.Close)
	return c
}

func (c *scene) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// send publishes a command, without the id by which JetStream knows copies.
func (c *scene) send(e event.Event) {
	c.t.Helper()
	message, err := events.Encode(events.CommandSubject(c.scope, e.Type()), e)
	require.NoError(c.t, err)
	message.Header.Del(jetstream.MsgIDHeader)
	_, err = c.js.PublishMsg(c.context(), message)
	require.NoError(c.t, err)
}

func (c *scene) deployment(resources string) event.Event {
	c.t.Helper()
	return c.deploymentUnder("", resources)
}

// deploymentUnder is a deployment of a document with a further line in its spec.
func (c *scene) deploymentUnder(line, resources string) event.Event {
	c.t.Helper()
	return c.command(schemas.CommandDeploymentRequested, map[string]any{"document": c.document(line, resources)})
}

func (c *scene) document(line, resources string) string {
	return "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: " + c.scope.Environment + "\n" + line + "  resources:\n" + resources
}

// supersession is a deployment that does not wait for the one that runs.
func (c *scene) supersession(resources string) event.Event {
	c.t.Helper()
	return c.command(schemas.CommandDeploymentRequested, map[string]any{"document": c.document("", resources), "supersede": true})
}

func (c *scene) command(eventType string, data any) event.Event {
	c.t.Helper()
	e, err := events.NewCommand(eventType, data)
	require.NoError(c.t, err)
	return e
}

func (c *scene) destruction() event.Event {
	c.t.Helper()
	return c.command(schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: c.scope})
}

// await reads events until one of that type comes, of the resource if one is named.
func (c *scene) await(eventType, resource string) schemas.Event {
	c.t.Helper()
	ctx := c.context()
	for {
		status, err := c.heard.Next(ctx)
		require.NoError(c.t, err, "%s does not come", eventType)
		if status.Type == eventType && (resource == "" || status.Subject == resource) {
			return status.Event
		}
		final := status.Deployment != nil && status.Deployment.Final
		require.Falsef(c.t, final && eventType != schemas.StatusCommandAccepted, "%s comes instead of %s: %+v", status.Type, eventType, status.Deployment)
	}
}

// awaitRollout waits until a rollout is at a phase.
func (c *scene) awaitRollout(phase schemas.RolloutPhase) {
	c.t.Helper()
	ctx := c.context()
	for {
		status, err := c.heard.Next(ctx)
		require.NoError(c.t, err, "no rollout is %s", phase)
		if status.Rollout != nil && status.Rollout.Phase == phase {
			return
		}
	}
}
