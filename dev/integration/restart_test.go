package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

// TestTheWholeStackKilledGoesOnWhereItWas kills servers and worker together, as a
// machine does that goes down, at three moments of a deployment.
func TestTheWholeStackKilledGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	for _, s := range []step{
		{gate: "engine", n: 1, when: beforeCall, call: "before anything is there"},
		{gate: "engine", n: 4, when: afterCall, call: "a container is made"},
		{gate: "engine", n: 6, when: afterCall, call: "all containers are started"},
	} {
		t.Run(s.call, func(t *testing.T) {
			t.Parallel()
			w := &world{dir: t.TempDir()}
			began := time.Now()
			t.Cleanup(func() {
				showLogs(t, w.dir, began)
				requireNoRace(t, w.dir)
			})
			w.engine, w.config.DockerHost = newEngineGate(t)
			w.startAll(t)
			environment := newEnvironment(t)
			scope := scopeOf(environment)
			sprung := w.engine.arm(s.n, s.when, w.worker.kill)
			w.deploy(t, scope, walkDocument(scope, 1))
			select {
			case <-sprung:
			case <-time.After(patience):
				require.FailNow(t, "the step is not reached")
			}
			w.engine.arm(0, beforeCall, nil)
			w.startAll(t)

			w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
			w.settle(t, scope)
			requireObjects(t, environment, walkObjects...)
			requireStory(t, w.story(t, scope), deployed(scope, "creating", "backend", "data", "web"))
		})
	}
}

// startAll runs servers and worker in one process, on the data of an earlier one.
func (w *world) startAll(t *testing.T) {
	t.Helper()
	w.worker = w.runServers(t, "--docker-host", w.config.DockerHost)
	t.Cleanup(w.worker.kill)
	w.connect(t)
}

// TestACommandThatComesTwiceHasOneEffect publishes one CloudEvent five times, and
// again after everything was restarted: without the message id that lets NATS drop
// copies, so that each of them is stored and served.
func TestACommandThatComesTwiceHasOneEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	const copies = 5
	copied := schemas.CommandDeploymentRequested
	publish := func() {
		for range copies {
			_, err := w.js.PublishMsg(t.Context(), &nats.Msg{
				Subject: events.CommandSubject(scope, copied),
				Data:    []byte(envelope(document(scope, "    - {name: data, type: Storage}\n"))),
			})
			require.NoError(t, err)
		}
	}
	publish()
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)

	w.worker.stop(t)
	w.conn.Close()
	w.servers.stop(t)
	w.startServers(t)
	w.redirect(t)
	w.startWorker(t)
	publish()
	// What comes after all copies is served after all copies.
	w.deploy(t, scope, document(scope, "    - {name: more, type: Storage}\n"))
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)

	stream, err := w.js.Stream(t.Context(), events.CommandStream)
	require.NoError(t, err)
	require.EqualValues(t, 2*copies+1, stream.CachedInfo().State.Msgs, "the copies were not stored")
	requireObjects(t, environment, "volume shop.more")
	story := append(deployed(scope, "creating", "data"), deployed(scope, "creating", "more")...)
	requireStory(t, w.story(t, scope), append(story, "resource.deleting data", "resource.deleted data"))
	require.Equal(t, []string{"1", "2"}, revisionsOf(w.story(t, scope)))
}

// revisionsOf lists the revisions of the accepted commands.
func revisionsOf(all []told) []string {
	var revisions []string
	for _, e := range all {
		if e.Type == schemas.StatusCommandAccepted {
			revisions = append(revisions, fmt.Sprint(e.Command.Revision))
		}
	}
	return revisions
}
