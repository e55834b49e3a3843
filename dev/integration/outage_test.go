package integration

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// TestNATSGoneWhileContainersStartDelaysEventsOnly cuts the worker off from NATS
// when the last container is to start. It comes up nevertheless, and what was to be
// told in the meantime is told once NATS is back.
func TestNATSGoneWhileContainersStartDelaysEventsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	w.engine.holding(nth(2, "/start", w.nats.shut))
	w.deploy(t, scope, walkDocument(scope, 1))

	engine := newEngine(t)
	require.Eventually(t, func() bool {
		all, err := objectsOf(t.Context(), engine, environment)
		running := slices.DeleteFunc(all, func(o object) bool { return o.kind != "container" || o.state != "running" })
		return err == nil && len(running) == 2 && strings.Contains(w.worker.log(t), "lost the connection to NATS")
	}, patience, 200*time.Millisecond, "the containers do not start without NATS")
	require.NotContains(t, namesOf(w.story(t, scope)), "resource.ready web")
	w.nats.open(t)

	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	requireObjects(t, environment, walkObjects...)
	requireStory(t, w.story(t, scope), deployed(scope, "creating", "backend", "data", "web"))
}

// TestAnEngineThatIsAwayIsWaitedFor takes the container engine away in the middle
// of a deployment until the worker has noticed.
func TestAnEngineThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	w.engine.holding(nth(1, "/containers/create", w.engine.shut))
	w.deploy(t, scope, walkDocument(scope, 1))

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !strings.Contains(w.worker.log(t), "see whether the container engine runs") && !strings.Contains(w.worker.log(t), "Unavailable") {
		require.True(t, pause(ctx), "the worker does not notice that the engine is away")
	}
	w.engine.holding(nil)
	w.engine.open(t)

	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	requireObjects(t, environment, walkObjects...)
	requireStory(t, w.story(t, scope), deployed(scope, "creating", "backend", "data", "web"))
}

// TestATemporalServerThatIsAwayIsWaitedFor takes Temporal away when a command
// arrives: it is kept, and served when Temporal is back.
func TestATemporalServerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	w.temporal.shut()
	w.deploy(t, scope, walkDocument(scope, 1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !strings.Contains(w.worker.log(t), "a command waits") {
		require.True(t, pause(ctx), "the worker does not notice that Temporal is away")
	}
	require.Empty(t, w.story(t, scope))
	w.temporal.open(t)

	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	requireObjects(t, environment, walkObjects...)
	requireStory(t, w.story(t, scope), deployed(scope, "creating", "backend", "data", "web"))
}

// nth calls a function at the n-th request with that suffix, before it is passed on.
func nth(n int64, suffix string, then func()) func(*http.Request) {
	var seen atomic.Int64
	return func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) && seen.Add(1) == n {
			then()
		}
	}
}

// namesOf lists events as type and subject.
func namesOf(all []told) []string {
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = schemas.ShortType(e.Type) + " " + e.Subject
	}
	return names
}
