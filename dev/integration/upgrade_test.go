package integration

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/schemas"
)

// TestAWorkerOfAnotherVersionBringsItsProxyWithoutALostRequest kills the worker in the
// middle of each rollout. The next one brings another version of the proxy, which takes
// over as soon as a plan has seen it.
func TestAWorkerOfAnotherVersionBringsItsProxyWithoutALostRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	f := newFleet(t, 3)
	f.deploy(t, w, f.version(steady, "-label", "v0"), schemas.StatusDeploymentSucceeded)
	l := startLoad(t, f.scope.Environment, f.port)
	front := lives(t, f.scope.Environment, "front")
	const rounds = 4
	for n := range rounds {
		label := fmt.Sprintf("v%d", n+1)
		f.revision++
		w.deploy(t, f.scope, f.version(steady, "-label", label))
		w.awaitEvent(t, f.scope, "a rollout under way", func(e schemas.Event) bool {
			return e.Rollout != nil && e.Rollout.Revision == f.revision && e.Rollout.Phase == schemas.RolloutProgressing
		})
		w.worker.kill()
		other, err := images.OtherProxy(proxyBinary, t.TempDir(), label)
		require.NoError(t, err)
		w.config.ProxyBinary = other
		w.startWorker(t)
		w.requireEnd(t, f.scope, f.revision, schemas.StatusDeploymentSucceeded)
		f.requireServing(t, label)
		require.Equal(t, front, lives(t, f.scope.Environment, "front"), "the container is another one")
	}
	replaced := 0
	for _, e := range w.story(t, f.scope) {
		if schemas.ShortType(e.Type)+" "+e.Subject == "resource.updating front" {
			replaced++
		}
	}
	// A plan that finds another version than its worker's is carried out by the next worker,
	// which brings its own; the plan after it finds that one in place.
	require.Equal(t, rounds/2, replaced)
	failed, least := l.end(t)
	require.Empty(t, failed)
	require.GreaterOrEqual(t, least, f.replicas)
}
