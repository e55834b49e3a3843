package integration

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/schemas"
	"windlass/workflows"
)

// vessel is a single container that a worker looks after.
type vessel struct {
	*world
	scope schemas.Scope
	// image is what it runs.
	image string
	// sprung, when set, closes when the worker was killed, and rescued says that another
	// one was started since.
	sprung  <-chan struct{}
	rescued bool
}

func (w *world) newVessel(t *testing.T) *vessel {
	t.Helper()
	return &vessel{world: w, scope: schemas.ContainerScope(newEnvironment(t), "cache"), image: images.FixtureReference}
}

// document declares the container with that policy and those properties of the fixture.
func (v *vessel) document(policy schemas.UnhealthyPolicy, properties string) string {
	return fmt.Sprintf(`apiVersion: windlass/v1
kind: Container
metadata: {name: %s}
spec:
  environment: %s
  unhealthyPolicy: %s
  properties:
    image: %s
    stopGracePeriod: 1s
    health: {http: {path: /healthz, port: 8080}, interval: 100ms, startPeriod: 30s}
    %s
`, v.scope.Infrastructure, v.scope.Environment, policy, v.image, properties)
}

// run asks for the container that document declares.
func (v *vessel) run(t *testing.T, policy schemas.UnhealthyPolicy, properties string) {
	t.Helper()
	v.command(t, v.scope, schemas.CommandContainerRun, map[string]any{"document": v.document(policy, properties)})
}

func (v *vessel) remove(t *testing.T) {
	t.Helper()
	v.command(t, v.scope, schemas.CommandContainerRemove, schemas.ContainerRequested{Environment: v.scope.Environment, Container: v.scope.Infrastructure})
}

// moves are the events of the container so far, in short.
func (v *vessel) moves(t *testing.T) []string {
	t.Helper()
	var moves []string
	for _, e := range v.story(t, v.scope) {
		if e.Container != nil {
			moves = append(moves, schemas.ContainerMove(e.Type))
		}
	}
	return moves
}

// until waits until the container has made exactly these moves, and no more. A worker
// that was killed on the way is followed by another one.
func (v *vessel) until(t *testing.T, moves ...string) {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		select {
		case <-v.sprung:
			v.sprung, v.rescued = nil, true
			v.startWorker(t)
		default:
		}
		found = v.moves(t)
		return slices.Equal(moves, found)
	}, patience, 50*time.Millisecond, "the container does not move as it should")
	require.Equal(t, moves, found)
}

// harmed breaks the health of the container that runs.
func (v *vessel) harmed(t *testing.T) {
	t.Helper()
	for _, c := range containersOf(t, v.scope.Environment, v.scope.Infrastructure) {
		response, err := direct.Get("http://" + addressOf(t, c) + ":8080/break")
		require.NoError(t, err)
		_ = response.Body.Close()
	}
}

func TestAContainerIsLookedAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	t.Run("through its whole life", func(t *testing.T) {
		t.Parallel()
		v := w.newVessel(t)
		windlass := func(verb string, flags ...string) string {
			return w.windlass(t, "", append([]string{"container", verb, v.scope.String()}, flags...)...)
		}
		w.windlass(t, v.document(schemas.UnhealthyRestart, ""), "container", "run", "-", "--wait")
		told := []string{"created", "started", "healthy"}
		v.until(t, told...)
		requireObjects(t, v.scope.Environment, "container _containers.cache.0")
		for _, order := range []struct {
			verb  string
			moves []string
		}{
			{"pause", []string{"paused"}},
			{"resume", []string{"resumed", "healthy"}},
			{"stop", []string{"stopped"}},
			{"start", []string{"started", "healthy"}},
			{"restart", []string{"stopped", "started", "healthy"}},
		} {
			windlass(order.verb, "--wait")
			told = append(told, order.moves...)
			v.until(t, told...)
		}
		require.Regexp(t, `state +Running\nhealth +Healthy\n`, windlass("status"))
		require.Equal(t, 3, strings.Count(windlass("logs"), "listening"), "it was started three times")
		require.Regexp(t, v.scope.String()+` +Running +Healthy `, windlass("stats"))
		v.harmed(t)
		told = append(told, "unhealthy", "stopped", "started", "healthy")
		v.until(t, told...)
		unhealthy := v.awaitEvent(t, v.scope, "the failure", func(e schemas.Event) bool { return e.Type == schemas.StatusContainerUnhealthy })
		require.Contains(t, unhealthy.Container.Error.Message, "failed 3 health checks in a row: GET /healthz: 503")
		require.Contains(t, strings.Join(unhealthy.Container.Error.Evidence.Logs, "\n"), "listening")

		// Removed by somebody else, it is made anew.
		engine := newEngine(t)
		for name := range containersOf(t, v.scope.Environment, "cache") {
			_, err := engine.ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			found := v.moves(t)
			return slices.Equal(found[len(found)-4:], []string{"removed", "created", "started", "healthy"})
		}, patience, 50*time.Millisecond, "nobody makes it anew")

		windlass("remove", "--wait")
		v.awaitEvent(t, v.scope, "the removal", func(e schemas.Event) bool {
			return e.Type == schemas.StatusContainerRemoved && e.Container.Cause == ""
		})
		requireObjects(t, v.scope.Environment)
		// Nothing is left to look after, so nobody does.
		require.NoError(t, v.client.GetWorkflow(t.Context(), workflows.ContainerID(v.scope), "").Get(t.Context(), nil))
		record := v.story(t, v.scope)
		require.Equal(t, "container/"+v.scope.String(), record[len(record)-1].CorrelationID)
	})
	t.Run("when it dies by itself", func(t *testing.T) {
		t.Parallel()
		v := w.newVessel(t)
		v.run(t, schemas.UnhealthyNone, `args: [-exit-after, 3s, -exit-code, "3"]`)
		exited := v.awaitEvent(t, v.scope, "the end", func(e schemas.Event) bool { return e.Type == schemas.StatusContainerExited })
		require.Equal(t, 3, *exited.Container.ExitCode)
		require.Contains(t, exited.Container.Error.Message, "exit code 3")
		require.Contains(t, strings.Join(exited.Container.Error.Evidence.Logs, "\n"), "listening")
		v.awaitEvent(t, v.scope, "the next run", func(e schemas.Event) bool {
			return e.Type == schemas.StatusContainerStarted && e.Container.Cause == "the engine restarted it"
		})
	})
	t.Run("when it cannot be run", func(t *testing.T) {
		t.Parallel()
		v := w.newVessel(t)
		v.run(t, schemas.UnhealthyNone, "environment: {V: one}")
		v.until(t, "created", "started", "healthy")
		before := lives(t, v.scope.Environment, "cache")
		v.run(t, schemas.UnhealthyNone, "command: [/nothing-here]")
		failed := v.awaitEvent(t, v.scope, "the failure", func(e schemas.Event) bool { return e.Type == schemas.StatusContainerFailed })
		require.Equal(t, "spec.properties.command", failed.Container.Error.Field)
		require.Equal(t, 11, failed.Container.Error.Line)
		require.Len(t, lives(t, v.scope.Environment, "cache"), len(before), "the former one goes on")
		for id := range lives(t, v.scope.Environment, "cache") {
			require.Contains(t, before, id)
		}
	})
}

// The registry is a real one, with another tag than the one that is asked for.
func TestAContainerWhoseImageIsMissingNamesTheTagsThatThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/team/app"
	there, err := name.ParseReference(repository + ":1.0")
	require.NoError(t, err)
	image, err := random.Image(1024, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(there, image))

	v := w.newVessel(t)
	v.image = repository + ":2.0"
	v.run(t, schemas.UnhealthyNone, "")
	failed := v.awaitEvent(t, v.scope, "the failure", func(e schemas.Event) bool { return e.Type == schemas.StatusContainerFailed })
	require.Equal(t, "NotFound", failed.Container.Error.Kind)
	require.Equal(t, "spec.properties.image", failed.Container.Error.Field)
	require.Equal(t, "the repository has the tags 1.0", failed.Container.Error.Hint)
	requireObjects(t, v.scope.Environment)
}

// walkContainer runs a container, brings it to a new version that turns unhealthy and is
// replaced, and removes it, with the worker killed at one step.
func (w *world) walkContainer(t *testing.T, s step, after func()) (reached bool) {
	t.Helper()
	v := w.newVessel(t)
	for _, trap := range w.gates() {
		trap.arm(0, beforeCall, nil)
	}
	v.sprung = w.gates()[s.gate].arm(s.n, s.when, w.worker.kill)
	v.run(t, schemas.UnhealthyReplace, "environment: {V: one}")
	told := []string{"created", "started", "healthy"}
	v.until(t, told...)
	v.run(t, schemas.UnhealthyReplace, "environment: {V: two}")
	told = append(told, "created", "started", "healthy")
	v.until(t, told...)
	v.harmed(t)
	told = append(told, "unhealthy", "removed", "created", "started", "healthy")
	v.until(t, told...)
	for _, c := range containersOf(t, v.scope.Environment, "cache") {
		require.Contains(t, c.Config.Env, "V=two")
	}
	requireObjects(t, v.scope.Environment, "container _containers.cache.0")
	v.remove(t)
	told = append(told, "removed")
	v.until(t, told...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, w.client.GetWorkflow(ctx, workflows.ContainerID(v.scope), "").Get(ctx, nil))
	if after != nil {
		after()
	}
	requireObjects(t, v.scope.Environment)
	wanted := []string{"command.accepted", "command.accepted", "command.accepted"}
	for _, move := range told {
		wanted = append(wanted, "container."+move)
	}
	for i := range wanted {
		wanted[i] += " " + v.scope.String()
	}
	requireStory(t, w.story(t, v.scope), wanted)
	return v.rescued
}
