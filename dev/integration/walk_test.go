package integration

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// lanes is how many worlds share the steps of the walk.
const lanes = 4

// step is one moment at which the worker is killed.
type step struct {
	story string
	gate  string
	n     int
	when  moment
	// call is what the n-th call was when nothing was killed.
	call string
}

// The stories that are walked.
const (
	// storyDeploy deploys a network, a volume and two replicas.
	storyDeploy = "deploy"
	// storyLife deploys the same, updates it and destroys it, each harmed at the step.
	storyLife = "life"
	// storyDatabase deploys a database.
	storyDatabase = "database"
	// storyReplace replaces the network under two replicas that run.
	storyReplace = "replace"
	// storyRollback updates two replicas to a version that never gets healthy.
	storyRollback = "rollback"
	// storyRollout moves two replicas behind a LoadBalancer while they are used.
	storyRollout = "rollout"
	// storyReturn moves them to a version that gets unhealthy, and back; the way back is walked.
	storyReturn = "return"
	// storyContainer runs a single container, and looks after it.
	storyContainer = "container"
)

func (s step) String() string {
	return fmt.Sprintf("%s: %s %s call %d (%s)", s.story, s.when, s.gate, s.n, identifier.ReplaceAllString(s.call, "*"))
}

// identifier is what differs in the names of calls from run to run.
var identifier = regexp.MustCompile("[0-9a-f]{8,}")

// TestAWorkerKilledAtAnyStepLosesNothing walks all calls that a worker makes to
// change something, on the way to the container engine, to Temporal and to NATS.
// At each of them, when the other side has done what was asked and the worker does
// not know it yet, the worker is killed and another one started. Together the calls
// leave no state of the world out, since what is before a call is after another one;
// at the engine the worker is also killed before a call is heard.
func TestAWorkerKilledAtAnyStepLosesNothing(t *testing.T) {
	t.Parallel()
	first := newWorld(t)
	first.startWorker(t)
	first.fleet = newFleet(t, 2)
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
				w.fleet = newFleet(t, 2)
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
	missed, taken := map[string]int{}, map[string]int{}
	for _, s := range steps {
		kind := s.gate
		if s.story == storyRollout || s.story == storyReturn {
			kind = s.story
		}
		if _, ok := sprung.Load(s); ok {
			taken[kind]++
		} else {
			missed[kind]++
		}
	}
	// Temporal may hand out several events in one task, so that the number of its
	// calls differs a little from run to run.
	require.Less(t, missed["temporal"], 10, "the worker was killed at too few of its calls: %v", missed)
	require.Zero(t, missed["engine"])
	require.LessOrEqual(t, missed["nats"], 1)
	require.Zero(t, missed[storyRollout])
	// On the way back, a replica that failed may be set aside before or after another one starts.
	require.LessOrEqual(t, missed[storyReturn], 3, "the worker was killed at too few steps of the way back: %v", missed)
	t.Logf("steps taken: %v; missed: %v", taken, missed)
}

// gates are the places where a worker can be killed.
func (w *world) gates() map[string]*trap {
	return map[string]*trap{"engine": &w.engine.trap, "temporal": &w.temporal.trap, "nats": &w.nats.trap}
}

// unharmed goes through the stories without harm and lists the steps that a walk
// has to take.
func (w *world) unharmed(t *testing.T) []step {
	t.Helper()
	var steps []step
	calls := map[string]int{} // of each story
	for _, way := range []struct {
		story, gate string
		moments     []moment
	}{ // what takes longest comes first
		{storyRollout, "engine", []moment{afterCall}},
		{storyReturn, "engine", []moment{afterCall}},
		{storyLife, "engine", []moment{afterCall}},
		{storyRollback, "engine", []moment{afterCall}},
		{storyContainer, "engine", []moment{afterCall}},
		{storyReplace, "engine", []moment{afterCall}},
		{storyDatabase, "engine", []moment{beforeCall, afterCall}},
		{storyDeploy, "engine", []moment{beforeCall}},
		{storyDeploy, "temporal", []moment{afterCall}},
		{storyDeploy, "nats", []moment{afterCall}},
	} {
		var longest []string
		w.walk(t, step{story: way.story, gate: way.gate}, func() {
			if calls := w.gates()[way.gate].counted(); len(calls) > len(longest) {
				longest = calls
			}
		})
		t.Logf("%s: %d calls to %s: %q", way.story, len(longest), way.gate, longest)
		require.GreaterOrEqual(t, len(longest), 4, "too few calls pass the gate to %s", way.gate)
		begin := 0
		if calls[way.story] = len(longest); way.story == storyReturn {
			begin = calls[storyRollout] - 1 // the way there is walked already
		}
		for n, call := range longest {
			if n < begin || strings.HasSuffix(call, "/exec") { // which changes nothing until it is started
				continue
			}
			for _, when := range way.moments {
				steps = append(steps, step{story: way.story, gate: way.gate, n: n + 1, when: when, call: call})
			}
		}
	}
	return steps
}

// walk kills the worker at one step of a story; step 0 is none. After each command
// a function is called, which may be nil. It says whether the step was reached.
func (w *world) walk(t *testing.T, s step, after func()) (reached bool) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() { showLogs(t, w.dir, began) })
	switch s.story {
	case storyContainer:
		return w.walkContainer(t, s, after)
	case storyRollout, storyReturn:
		return w.walkRollout(t, s, after)
	}
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	var told []string
	end := func(objects []string, events ...string) {
		t.Helper()
		if after != nil {
			after()
		}
		requireObjects(t, environment, objects...)
		told = append(told, events...)
		requireStory(t, w.story(t, scope), told)
	}
	harm := func(revision int, command func(), beginning string, resources []string, objects []string) {
		t.Helper()
		if w.harm(t, s, scope, revision, schemas.StatusDeploymentSucceeded, command) {
			reached = true
		}
		end(objects, deployed(scope, beginning, resources...)...)
	}

	if s.story == storyDatabase {
		harm(1, func() { w.deploy(t, scope, document(scope, walkDatabase)) }, "creating",
			[]string{"backend", "db"}, []string{"network shop.backend", "container shop.db.0", "volume shop.db.data"})
		return reached
	}
	all := []string{"backend", "data", "web"}
	if s.story == storyReplace || s.story == storyRollback {
		w.harm(t, step{gate: s.gate}, scope, 1, schemas.StatusDeploymentSucceeded, func() { w.deploy(t, scope, walkDocument(scope, 1)) })
		told = deployed(scope, "creating", all...)
		made := madeAt(t, environment+".shop.data")
		if s.story == storyReplace {
			labelled := strings.Replace(walkDocument(scope, 1), "type: Network", "type: Network, properties: {labels: {v: \"2\"}}", 1)
			harm(2, func() { w.deploy(t, scope, labelled) }, "replacing", []string{"backend"}, walkObjects)
			requireConnected(t, environment, "web", environment+".shop.backend")
		} else {
			sick := strings.Replace(walkDocument(scope, 2), "path: /healthz, port: 8080}", "path: /nothing-here, port: 8080}, startPeriod: 0s", 1)
			reached = w.harm(t, s, scope, 2, schemas.StatusDeploymentRolledBack, func() { w.deploy(t, scope, sick) })
			end(walkObjects, rolledBack(scope, "web")...)
			for _, c := range containersOf(t, environment, "web") {
				require.Contains(t, c.Config.Env, "VERSION=1")
			}
		}
		require.Equal(t, made, madeAt(t, environment+".shop.data"), "the volume is another one, and its data is lost")
		return reached
	}
	declared, objects := walkDocument(scope, 1), walkObjects
	if s.gate != "engine" { // Temporal and NATS hear of the Compute and not of its replicas
		declared, objects = strings.Replace(declared, "replicas: 2", "replicas: 1", 1), walkObjects[:len(walkObjects)-1]
	}
	harm(1, func() { w.deploy(t, scope, declared) }, "creating", all, objects)
	if s.story == storyLife {
		harm(2, func() { w.deploy(t, scope, walkDocument(scope, 2)) }, "updating", []string{"web"}, walkObjects)
		for _, c := range containersOf(t, environment, "web") {
			require.Contains(t, c.Config.Env, "VERSION=2")
		}
		harm(3, func() { w.destroy(t, scope) }, "deleting", all, nil)
	}
	return reached
}

// harm sends a command, kills the worker at the step, starts another one and waits
// until the command has ended as it should and nothing moves any more. It says
// whether the step was reached.
func (w *world) harm(t *testing.T, s step, scope schemas.Scope, revision int, ends string, command func()) (reached bool) {
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
	case <-over:
	case <-time.After(patience):
		require.FailNow(t, "neither is the step reached nor does the deployment end")
	}
	stop()
	<-over
	// The call may not have come, or come when all was done; it must not hit what follows.
	if reached = trap.disarm(); reached {
		w.startWorker(t)
	}
	w.requireEnd(t, scope, revision, ends)
	w.settle(t, scope)
	return reached
}

// rolledBack lists the events of a deployment that fails at an update and goes back.
func rolledBack(scope schemas.Scope, resource string) []string {
	return []string{
		"command.accepted " + scope.String(), "deployment.started " + scope.String(), "deployment.planned " + scope.String(),
		"resource.updating " + resource, "resource.failed " + resource, "deployment.failed " + scope.String(),
		"resource.updating " + resource, "resource.ready " + resource, "deployment.rolledback " + scope.String(),
	}
}

// madeAt is when a volume was made.
func madeAt(t *testing.T, volume string) string {
	t.Helper()
	v, err := newEngine(t).VolumeInspect(t.Context(), volume, client.VolumeInspectOptions{})
	require.NoError(t, err)
	return v.Volume.CreatedAt
}

// requireConnected fails unless every container of a resource is on the network.
func requireConnected(t *testing.T, environment, resource, network string) {
	t.Helper()
	for name, c := range containersOf(t, environment, resource) {
		require.Contains(t, c.NetworkSettings.Networks, network, name)
	}
}

func walkDocument(scope schemas.Scope, version int) string {
	return document(scope, fmt.Sprintf(`
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
`, version))
}

const walkDatabase = `
    - {name: backend, type: Network}
    - name: db
      type: Database
      properties: {engine: postgres, version: "15", networks: ["${backend.name}"], stopGracePeriod: 5s}
`

// walkObjects is what walkDocument declares.
var walkObjects = []string{"network shop.backend", "volume shop.data", "container shop.web.0", "container shop.web.1"}
