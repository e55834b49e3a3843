package integration

import (
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// testDrift takes a replica away by hand and waits until the schedule has it seen,
// told and put back.
func testDrift(t *testing.T, w *world) {
	scope := scopeOf(newEnvironment(t))
	watched := strings.Replace(document(scope, web(healthy)), "  resources:\n", "  drift: {interval: 10s, selfHeal: true}\n  resources:\n", 1)
	w.deploy(t, scope, watched)
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	before := containersOf(t, scope.Environment, "web")
	require.Len(t, before, 2)
	for name, c := range before {
		if strings.Contains(name, ".web.0.") {
			_, err := newEngine(t).ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
		}
	}
	drifted := w.awaitEvent(t, scope, "that web has drifted", func(e schemas.Event) bool { return e.Type == schemas.StatusResourceDrifted })
	require.Equal(t, "web", drifted.Resource.Resource)
	// The engine kills before it removes, and may be met in between.
	require.Contains(t, []string{"replica 0 is missing", "replica 0 is exited with exit code 137"}, drifted.Resource.Cause)
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	requireObjects(t, scope.Environment, "network shop.backend", "container shop.web.0", "container shop.web.1")

	// With the Infrastructure, the schedule ends too.
	w.destroy(t, scope)
	w.requireEnd(t, scope, 3, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	requireObjects(t, scope.Environment)
	_, err := w.client.ScheduleClient().GetHandle(t.Context(), "drift/"+scope.String()).Describe(t.Context())
	require.ErrorContains(t, err, "not found")
}
