package integration

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// lanes is how many worlds share the steps of the walk.
const lanes = 7

// step is one moment at which the worker is killed.
type step struct {
	gate string
	n    int
	when moment
	// call is what the n-th call was when nothing was killed.
	call string
}

func (s step) String() string {
	return fmt.Sprintf("%s %s call %d (%s)", s.when, s.gate, s.n, identifier.ReplaceAllString(s.call, "*"))
}

// identifier is what differs in the names of calls from run to run.
var identifier = regexp.MustCompile("[0-9a-f]{8,}")

// TestAWorkerKilledAtAnyStepLosesNothing walks all calls that a worker makes to
// change something, on the way to the container engine, to Temporal and to NATS.
// At each of them, when the other side has done what was asked and the worker does
// not know it yet, the worker is killed and another one started. Together the calls
// leave no state of the world out: before a call is what is after another one. At
// the engine, and at the first call to the others, the worker is also killed before
// the other side has heard of the call.
func TestAWorkerKilledAtAnyStepLosesNothing(t *testing.T) {
	t.Parallel()
	first := newWorld(t)
	first.startWorker(t)
	steps := first.unharmed(t)
	queue := make(chan step, len(steps))
	for _, s := range steps {
		queue <- s
	}
	close(queue)
	var sprung sync.Map
	t.Run("walk", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.startWorker(t)
				for s := range queue {
					t.Run(s.String(), func(t *testing.T) {
						if w.walk(t, s, nil) {
							sprung.Store(s, true)
						}
					})
					if t.Failed() {
						return // what a broken scenario left would disturb the next
					}
				}
			})
		}
	})
	missed := map[string]int{}
	for _, s := range steps {
		if _, ok := sprung.Load(s); !ok {
			missed[s.gate]++
		}
	}
	// Temporal may hand out several events in one task, so that the number of its
	// calls differs a little from run to run.
	require.Less(t, missed["temporal"], 10, "the worker was killed at too few of its calls: %v", missed)
	require.Zero(t, missed["engine"])
	require.LessOrEqual(t, missed["nats"], 1)
}

// gates are the places where a worker can be killed.
func (w *world) gates() map[string]*trap {
	return map[string]*trap{"engine": &w.engine.trap, "temporal": &w.temporal.trap, "nats": &w.nats.trap}
}

// unharmed goes the ways once without harm and lists the steps that a walk has to
// take.
func (w *world) unharmed(t *testing.T) []step {
	t.Helper()
	var steps []step
	for _, way := range []struct {
		gates []string
		walk  step
	}{{[]string{"temporal", "nats"}, step{gate: "temporal"}}, {[]string{"engine"}, step{gate: "engine"}}} {
		longest := map[string][]string{}
		w.walk(t, way.walk, func() {
			for name, trap := range w.gates() {
				if calls := trap.counted(); len(calls) > len(longest[name]) {
					longest[name] = calls
				}
			}
		})
		for _, gate := range way.gates {
			t.Logf("%s: %d calls: %q", gate, len(longest[gate]), longest[gate])
			require.Greater(t, len(longest[gate]), 5, "too few calls pass the gate to %s", gate)
			for n, call := range longest[gate] {
				steps = append(steps, step{gate: gate, n: n + 1, when: afterCall, call: call})
				if n == 0 || gate == "engine" {
					steps = append(steps, step{gate: gate, n: n + 1, when: beforeCall, call: call})
				}
			}
		}
	}
	// What takes longest comes first.
	slices.SortStableFunc(steps, func(a, b step) int { return strings.Compare(a.gate, b.gate) })
	return steps
}

// walk kills the worker at one step of a deployment. At the container engine the
// same step is taken of an update and of the destruction too. Step 0 is none. After
// each command a function is called, which may be nil.
func (w *world) walk(t *testing.T, s step, after func()) (sprung bool) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() { showLogs(t, w.dir, began) })
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	everything := s.gate == "engine"
	names := []string{"backend", "data", "web"}
	if everything {
		names = append(names, "db")
	}

	harm := func(revision int, command func()) {
		if w.harm(t, s, scope, revision, command) {
			sprung = true
		}
		if after != nil {
			after()
		}
	}

	harm(1, func() { w.deploy(t, scope, walkDocument(scope, 1, everything)) })
	requireObjects(t, environment, walkObjects(everything)...)
	story := deployed(scope, "creating", names...)
	requireStory(t, w.story(t, scope), story)
	if !everything {
		return sprung
	}

	harm(2, func() { w.deploy(t, scope, walkDocument(scope, 2, everything)) })
	for _, c := range containersOf(t, environment, "web") {
		require.Contains(t, c.Config.Env, "VERSION=2")
	}
	requireObjects(t, environment, walkObjects(everything)...)
	story = append(story, deployed(scope, "updating", "web")...)
	requireStory(t, w.story(t, scope), story)

	harm(3, func() { w.destroy(t, scope) })
	requireObjects(t, environment)
	requireStory(t, w.story(t, scope), append(story, deployed(scope, "deleting", names...)...))
	return sprung
}

// harm sends a command, kills the worker at the step, starts another one and waits
// until the command has succeeded and nothing moves any more. It says whether the
// step was reached.
func (w *world) harm(t *testing.T, s step, scope schemas.Scope, revision int, command func()) (reached bool) {
	t.Helper()
	for _, trap := range w.gates() {
		trap.arm(0, beforeCall, nil)
	}
	trap := w.gates()[s.gate]
	sprung := trap.arm(s.n, s.when, w.worker.kill)
	command()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for w.audience.awaitEnd(ctx, scope, revision) == nil && !w.atRest(t, scope) && pause(ctx) {
			// The last calls of the worker come after the last event.
		}
	}()
	select {
	case <-sprung:
		reached = true
	case <-over:
	case <-time.After(patience):
		require.FailNow(t, "neither is the step reached nor does the deployment end")
	}
	stop()
	<-over
	if reached {
		w.startWorker(t)
	}
	w.requireEnd(t, scope, revision, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	return reached
}

func walkDocument(scope schemas.Scope, version int, database bool) string {
	resources := fmt.Sprintf(`
    - {name: backend, type: Network}
    - {name: data, type: Storage}
    - name: web
      type: Compute
      properties:
        image: windlass.local/fixture:1
        replicas: 2
        networks: ["${backend.name}"]
        volumes: [{source: "${data.name}", mountPath: /data}]
        environment: {VERSION: "%d"}
        health: {http: {path: /healthz, port: 8080}, interval: 100ms}
        stopGracePeriod: 1s
`, version)
	if database {
		resources += `
    - name: db
      type: Database
      properties: {engine: postgres, version: "15", networks: ["${backend.name}"], stopGracePeriod: 5s}
`
	}
	return document(scope, resources)
}

func walkObjects(database bool) []string {
	objects := []string{"network shop.backend", "volume shop.data", "container shop.web.0", "container shop.web.1"}
	if database {
		objects = append(objects, "container shop.db.0", "volume shop.db.data")
	}
	return objects
}
