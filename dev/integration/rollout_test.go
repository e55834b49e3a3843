package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/schemas"
)

// fleet is a Compute behind a LoadBalancer.
type fleet struct {
	scope    schemas.Scope
	port     int
	replicas int
	revision int
	// label is that of the version that serves, in the walk.
	label string
}

func newFleet(t *testing.T, replicas int) *fleet {
	t.Helper()
	return &fleet{scope: scopeOf(newEnvironment(t)), port: freePort(t), replicas: replicas}
}

// version declares the replicas with arguments and a strategy.
func (f *fleet) version(strategy string, args ...string) string {
	return document(f.scope, fmt.Sprintf(`    - {name: backend, type: Network}
    - name: web
      type: Compute
      properties:
        image: windlass.local/fixture:1
        replicas: %d
        networks: ["${backend.name}"]
        args: ["%s"]
        ports: [{containerPort: 8080}]
        health: {http: {path: /healthz, port: 8080}, interval: 200ms, startPeriod: 1m}
        stopGracePeriod: 2s
        strategy: %s
    - name: front
      type: LoadBalancer
      properties:
        target: ${web.name}
        networks: ["${backend.name}"]
        listen: [{port: 8080, hostPort: %d}]
`, f.replicas, strings.Join(args, `", "`), strategy, f.port))
}

// deploy deploys a version and waits until its deployment has ended as it should.
func (f *fleet) deploy(t *testing.T, w *world, text, ends string) schemas.Event {
	t.Helper()
	f.revision++
	w.deploy(t, f.scope, text)
	return w.requireEnd(t, f.scope, f.revision, ends)
}

// requireServing fails unless the replicas there are, beside what was set aside, are
// those of a version, given by its label.
func (f *fleet) requireServing(t *testing.T, label string) {
	t.Helper()
	found := 0
	for name, c := range containersOf(t, f.scope.Environment, "web") {
		if strings.HasSuffix(name, ".failed") {
			require.False(t, c.State.Running, "%s was set aside and runs", name)
			continue
		}
		found++
		require.Equal(t, label, c.Config.Cmd[1], name)
		require.True(t, c.State.Running, name)
	}
	require.Equal(t, f.replicas, found)
}

// rolling is what the rollout of a revision told, in order.
func (f *fleet) rolling(t *testing.T, w *world) []schemas.Event {
	t.Helper()
	var told []schemas.Event
	for _, e := range w.story(t, f.scope) {
		if e.Rollout != nil && e.Rollout.Revision == f.revision {
			told = append(told, e.Event)
		}
	}
	return told
}

const steady = "{maxSurge: 2, maxUnavailable: 0}"

// TestManyRolloutsUnderLoadLoseNoRequest moves six replicas twenty times, and once by
// each strategy, while they are used.
func TestManyRolloutsUnderLoadLoseNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 6)
	f.deploy(t, w, f.version(steady, "-label", "v0"), schemas.StatusDeploymentSucceeded)
	l := startLoad(t, f.scope.Environment, f.port)
	const rounds = 20
	for n := 1; n <= rounds; n++ {
		label := fmt.Sprintf("v%d", n)
		f.deploy(t, w, f.version(steady, "-label", label), schemas.StatusDeploymentSucceeded)
		f.requireServing(t, label)
	}
	for label, strategy := range map[string]string{
		"blue":   "{type: BlueGreen, warm: 1s}",
		"canary": "{type: Canary, steps: [{weight: 20, analysis: {interval: 1s, metrics: {maxErrorRatio: 0}}}, {weight: 50, pause: {duration: 1s}}]}",
		"slowly": "{maxSurge: 1, minReadySeconds: 1, monitor: 2s}",
	} {
		f.deploy(t, w, f.version(strategy, "-label", label), schemas.StatusDeploymentSucceeded)
		f.requireServing(t, label)
	}
	failed, least := l.end(t)
	require.Empty(t, failed)
	require.GreaterOrEqual(t, least, f.replicas, "fewer replicas served than have to")
	told := f.rolling(t, w)
	require.Equal(t, schemas.StatusRolloutStarted, told[0].Type)
	require.Equal(t, schemas.StatusRolloutSucceeded, told[len(told)-1].Type)
}

// TestWithFewerAvailableTheCapacityKeepsToWhatIsAllowed takes replicas out before
// others are there, and all of them where nothing else is asked for.
func TestWithFewerAvailableTheCapacityKeepsToWhatIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 4)
	f.deploy(t, w, f.version(steady, "-label", "v0"), schemas.StatusDeploymentSucceeded)
	l := startLoad(t, f.scope.Environment, f.port)
	f.deploy(t, w, f.version("{maxSurge: 0, maxUnavailable: 25%}", "-label", "v1"), schemas.StatusDeploymentSucceeded)
	failed, least := l.end(t)
	require.Empty(t, failed)
	require.Equal(t, 3, least)
	f.requireServing(t, "v1")

	l = startLoad(t, f.scope.Environment, f.port)
	f.deploy(t, w, f.version("{type: Recreate}", "-label", "v2"), schemas.StatusDeploymentSucceeded)
	f.requireServing(t, "v2")
	failed, least = l.end(t)
	require.Zero(t, least)
	for _, trouble := range failed { // which the strategy does not promise to avoid
		require.Contains(t, trouble, "503 ", "a request was answered in another way than that there is nobody")
	}
}

// TestABadVersionGoesBackWithItsEvidenceAndWithoutALostRequest deploys versions that
// are bad in every way that people will meet.
func TestABadVersionGoesBackWithItsEvidenceAndWithoutALostRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 3)
	good := f.version(steady, "-label", "good")
	f.deploy(t, w, good, schemas.StatusDeploymentSucceeded)
	const inTime = 5 * time.Minute // before the deadline of any of them but the one that is late
	quick := "{maxSurge: 1, minReadySeconds: 1, progressDeadlineSeconds: 300}"
	// reason is what the failure says, and only where a deadline is the case does it name one;
	// health is what its evidence has of the last check, code of its exit, and least how many
	// replicas serve all the time: one that turns unhealthy when the others are gone is
	// missing until one is there again.
	for name, bad := range map[string]struct {
		text, reason, health string
		code, least          int
	}{
		"it crashes":             {f.version(quick, "-label", "bad", "-never-healthy", "-exit-after", "50ms", "-exit-code", "3"), "exit code 3", "", 3, 3},
		"it never gets healthy":  {strings.Replace(f.version(quick, "-label", "bad"), "path: /healthz, port: 8080}, interval: 200ms, startPeriod: 1m", "path: /nothing-here, port: 8080}, interval: 200ms, startPeriod: 5s", 1), "404 Not Found", "404 Not Found", -1, 3},
		"it is late":             {f.version("{maxSurge: 1, progressDeadlineSeconds: 10}", "-label", "bad", "-healthy-after", "1h"), "no replica became available within 10s", "still starting", -1, 3},
		"it gets unhealthy":      {f.version("{maxSurge: 3, monitor: 1m}", "-label", "bad", "-unhealthy-after", "5s"), "failed 3 health checks in a row", "healthy no more", -1, 2},
		"it does not want to go": {f.version("{maxSurge: 3, monitor: 1m}", "-label", "bad", "-unhealthy-after", "5s", "-ignore-sigterm"), "failed 3 health checks in a row", "healthy no more", -1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoad(t, f.scope.Environment, f.port)
			end := f.deploy(t, w, bad.text, schemas.StatusDeploymentRolledBack)
			failed, least := l.end(t)
			require.Empty(t, failed)
			require.GreaterOrEqual(t, least, bad.least)
			f.requireServing(t, "good")
			failure := end.Deployment.Error
			require.Contains(t, failure.Message, bad.reason)
			require.NotNil(t, failure.Evidence, "%+v", failure)
			require.Contains(t, strings.Join(failure.Evidence.Logs, "\n"), "listening")
			require.Contains(t, failure.Evidence.Health, bad.health)
			if bad.code >= 0 {
				require.NotNil(t, failure.Evidence.ExitCode)
				require.Equal(t, bad.code, *failure.Evidence.ExitCode)
			}
			told := f.rolling(t, w)
			require.Equal(t, schemas.StatusRolloutRolledBack, told[len(told)-1].Type)
			took := told[len(told)-1].Time.Sub(told[0].Time)
			t.Logf("rolled back after %s", took.Round(time.Second))
			require.Less(t, took, inTime)
			aside := 0
			for name := range containersOf(t, f.scope.Environment, "web") {
				if strings.HasSuffix(name, ".failed") {
					aside++
				}
			}
			require.Equal(t, 1, aside, "the replica that failed is not kept")
		})
	}
	t.Run("it cannot be pulled", func(t *testing.T) {
		l, before := startLoad(t, f.scope.Environment, f.port), lives(t, f.scope.Environment, "web")
		// Nothing was touched, so that there is nothing to go back from.
		end := f.deploy(t, w, strings.Replace(f.version(quick, "-label", "bad"), "fixture:1", "nobody-made-this:1", 1), schemas.StatusDeploymentFailed)
		require.Contains(t, end.Deployment.Error.Message, "nobody-made-this:1")
		require.Equal(t, before, lives(t, f.scope.Environment, "web"))
		failed, least := l.end(t)
		require.Empty(t, failed)
		require.GreaterOrEqual(t, least, f.replicas)
		f.requireServing(t, "good")
	})
	t.Run("it fails one request in five", func(t *testing.T) {
		canary := "{type: Canary, steps: [{weight: 20, analysis: {interval: 2s, count: 3, metrics: {maxErrorRatio: 0.05}}}]}"
		l := startLoad(t, f.scope.Environment, f.port)
		end := f.deploy(t, w, f.version(canary, "-label", "bad", "-fail-every", "5"), schemas.StatusDeploymentRolledBack)
		failed, _ := l.end(t)
		require.Contains(t, end.Deployment.Error.Message, "requests failed, at most 5.0% may")
		require.NotEmpty(t, failed)
		asked := 0
		for _, n := range l.asked {
			asked += n
		}
		// A fifth of the requests went there, and a fifth of those failed.
		require.Less(t, float64(len(failed))/float64(asked), 0.2*0.2*1.5)
		for _, trouble := range failed {
			require.Contains(t, trouble, ": 500 ")
		}
		f.requireServing(t, "good")
	})
	t.Run("one that broke later gives way to a good one", func(t *testing.T) {
		f.deploy(t, w, f.version(steady, "-label", "weak"), schemas.StatusDeploymentSucceeded)
		require.NoError(t, w.sicken(t.Context(), newEngine(t), f.scope, f.revision, f.replicas))
		f.deploy(t, w, good, schemas.StatusDeploymentSucceeded)
		f.requireServing(t, "good")
	})
	t.Run("one that does not want to go gives way to a good one", func(t *testing.T) {
		f.deploy(t, w, f.version(steady, "-label", "stubborn", "-ignore-sigterm"), schemas.StatusDeploymentSucceeded)
		l := startLoad(t, f.scope.Environment, f.port)
		f.deploy(t, w, good, schemas.StatusDeploymentSucceeded)
		failed, least := l.end(t)
		require.Empty(t, failed)
		require.GreaterOrEqual(t, least, f.replicas)
		f.requireServing(t, "good")
	})
}

// walkRollout kills the worker at one step of a rollout that goes well, or of one that
// goes back, while the replicas are used. The steps move the fleet of the world one after
// the other.
func (w *world) walkRollout(t *testing.T, s step, after func()) (reached bool) {
	t.Helper()
	// One after the other, so that the same calls come in each run.
	const steady = "{maxSurge: 1, maxUnavailable: 0}"
	f := w.fleet
	if f.revision == 0 {
		f.revision, f.label = 1, "v1"
		w.harm(t, step{gate: s.gate}, f.scope, 1, schemas.StatusDeploymentSucceeded, func() { w.deploy(t, f.scope, f.version(steady, "-label", f.label)) })
	}
	l := startLoad(t, f.scope.Environment, f.port)
	known := len(w.story(t, f.scope))
	f.revision++
	next := fmt.Sprintf("v%d", f.revision)
	if s.story == storyRollout {
		reached = w.harm(t, s, f.scope, f.revision, schemas.StatusDeploymentSucceeded, func() { w.deploy(t, f.scope, f.version(steady, "-label", next)) })
		f.label = next
	} else {
		ill := make(chan error, 1)
		reached = w.harm(t, s, f.scope, f.revision, schemas.StatusDeploymentRolledBack, func() {
			w.deploy(t, f.scope, f.version("{maxSurge: 1, monitor: 5m}", "-label", next))
			go func() { ill <- w.sicken(t.Context(), newEngine(t), f.scope, f.revision, 1) }()
		})
		require.NoError(t, <-ill)
	}
	failed, least := l.end(t)
	require.Empty(t, failed)
	if s.story == storyRollout {
		require.GreaterOrEqual(t, least, f.replicas, "fewer replicas served than have to")
	}
	if after != nil {
		after()
	}
	f.requireServing(t, f.label)
	if s.story == storyRollout {
		requireObjects(t, f.scope.Environment, "network shop.backend", "container shop.web.0", "container shop.web.1", "container shop.front.0")
		requireStory(t, w.story(t, f.scope)[known:], deployed(f.scope, "updating", "web"))
	} else {
		f.clearFailed(t)
	}
	return reached
}

// clearFailed removes the replicas that were set aside, so that each way back begins alike.
func (f *fleet) clearFailed(t *testing.T) {
	t.Helper()
	engine := newEngine(t)
	for name, c := range containersOf(t, f.scope.Environment, "web") {
		if strings.HasSuffix(name, ".failed") {
			_, err := engine.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{RemoveVolumes: true})
			require.NoError(t, err)
		}
	}
}

// sicken has replicas of a revision turn unhealthy as soon as all requests are with it, so
// many of them.
func (w *world) sicken(ctx context.Context, engine *client.Client, scope schemas.Scope, revision, many int) error {
	_, err := w.audience.await(ctx, func(e schemas.Event) bool {
		return concerns(e, scope) && e.Rollout != nil && e.Rollout.Revision == revision && (e.Rollout.Phase == schemas.RolloutMonitoring || e.Rollout.Phase == schemas.RolloutSucceeded)
	})
	if err != nil {
		return err
	}
	all, err := objectsOf(ctx, engine, scope.Environment)
	if err != nil {
		return err
	}
	for _, o := range all {
		if many == 0 {
			break
		}
		if o.kind != "container" || o.labels[activities.LabelResource] != "web" || o.labels[activities.LabelRevision] != strconv.Itoa(revision) {
			continue
		}
		found, err := engine.ContainerInspect(ctx, o.id, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		for _, n := range found.Container.NetworkSettings.Networks {
			response, err := http.Get("http://" + n.IPAddress.String() + ":8080/break")
			if err != nil {
				return err
			}
			if err := response.Body.Close(); err != nil {
				return err
			}
			many--
		}
	}
	if many > 0 {
		return fmt.Errorf("%d replicas of the version are missing", many)
	}
	return nil
}

// TestARolloutOnASlowEngineLosesNoRequest holds every call to the engine for a while.
func TestARolloutOnASlowEngineLosesNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 3)
	f.deploy(t, w, f.version(steady, "-label", "v1"), schemas.StatusDeploymentSucceeded)
	l := startLoad(t, f.scope.Environment, f.port)
	w.engine.holding(func(*http.Request) { time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond) })
	f.deploy(t, w, f.version(steady, "-label", "v2"), schemas.StatusDeploymentSucceeded)
	w.engine.holding(nil)
	failed, least := l.end(t)
	require.Empty(t, failed)
	require.GreaterOrEqual(t, least, f.replicas)
	f.requireServing(t, "v2")
}

// TestANewVersionTakesOverFromARolloutThatRuns deploys a third version while a canary of
// the second waits, one that goes back by hand, a bad one that takes over, and one while
// another goes back.
func TestANewVersionTakesOverFromARolloutThatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 3)
	f.deploy(t, w, f.version(steady, "-label", "v1"), schemas.StatusDeploymentSucceeded)
	l := startLoad(t, f.scope.Environment, f.port)
	holding := func(label string) {
		f.revision++
		w.deploy(t, f.scope, f.version("{type: Canary, steps: [{weight: 50, pause: {}}]}", "-label", label))
		w.awaitEvent(t, f.scope, "a canary that waits", func(e schemas.Event) bool {
			return e.Rollout != nil && e.Rollout.Revision == f.revision && e.Rollout.Phase == schemas.RolloutHolding
		})
	}
	supersede := func(strategy string, args ...string) {
		f.revision++
		w.command(t, f.scope, schemas.CommandDeploymentRequested, map[string]any{"document": f.version(strategy, args...), "supersede": true})
	}
	holding("v2")
	second := f.revision
	supersede(steady, "-label", "v3")
	w.requireEnd(t, f.scope, second, schemas.StatusDeploymentCancelled)
	w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentSucceeded)
	f.requireServing(t, "v3")

	holding("v4")
	windlass := func(verb string) string { return w.windlass(t, "", "rollout", verb, f.scope.String(), "web") }
	require.Contains(t, windlass("status"), "waits until it is promoted")
	windlass("pause")
	paused := w.awaitEvent(t, f.scope, "the pause", func(e schemas.Event) bool {
		return e.Type == schemas.StatusRolloutPaused && e.Rollout.Revision == f.revision
	})
	require.Equal(t, "/windlass/cli", paused.Rollout.By)
	windlass("resume")
	w.awaitEvent(t, f.scope, "the resumption", func(e schemas.Event) bool {
		return e.Source == paused.Source && e.Sequence > paused.Sequence && e.Rollout.Phase == schemas.RolloutHolding && !e.Rollout.Paused
	})
	windlass("abort")
	end := w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentRolledBack)
	require.Contains(t, end.Deployment.Error.Message, "the rollout was aborted by /windlass/cli")
	f.requireServing(t, "v3")

	holding("v5")
	windlass("promote")
	w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentSucceeded)
	f.requireServing(t, "v5")

	// A bad one takes over, and gives way to the last that was stable.
	holding("v6")
	sixth := f.revision
	supersede("{maxSurge: 1, minReadySeconds: 1}", "-label", "v7", "-never-healthy", "-exit-after", "50ms", "-exit-code", "3")
	w.requireEnd(t, f.scope, sixth, schemas.StatusDeploymentCancelled)
	w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentRolledBack)
	f.requireServing(t, "v5")
	failed, least := l.end(t)
	require.Empty(t, failed)
	require.GreaterOrEqual(t, least, f.replicas)

	// Another one comes while a bad one goes back, which takes some seconds.
	l = startLoad(t, f.scope.Environment, f.port)
	f.revision++
	w.deploy(t, f.scope, f.version("{maxSurge: 1, monitor: 5m}", "-label", "v8", "-ignore-sigterm"))
	require.NoError(t, w.sicken(t.Context(), newEngine(t), f.scope, f.revision, 1))
	w.awaitEvent(t, f.scope, "a way back", func(e schemas.Event) bool {
		return e.Rollout != nil && e.Rollout.Revision == f.revision && e.Rollout.Phase == schemas.RolloutRollingBack
	})
	supersede(steady, "-label", "v9")
	w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentSucceeded)
	f.requireServing(t, "v9")
	failed, least = l.end(t)
	require.Empty(t, failed)
	require.GreaterOrEqual(t, least, f.replicas-1, "but for the one that turned unhealthy")
}
