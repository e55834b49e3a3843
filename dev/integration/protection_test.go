package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// testProtection tries everything that would end a protected volume and one that
// is to be retained: both outlive it all, until protection is lifted.
func testProtection(t *testing.T, w *world) {
	scope := scopeOf(newEnvironment(t))
	network := "    - {name: backend, type: Network}\n"
	volumes := "    - {name: ledger, type: Storage, protect: true}\n    - {name: archive, type: Storage, properties: {retention: retain}}\n"
	mounted := compute("web", "1", healthy+"        volumes: [{source: \"${ledger.name}\", mountPath: /ledger}]\n")
	both := []string{"volume shop.archive", "volume shop.ledger"}

	// A first revision that fails is rolled back to nothing, but for the volumes.
	w.deploy(t, scope, document(scope, network+volumes+strings.Replace(mounted, "path: /healthz", "path: /nothing-here", 1)))
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentRolledBack)
	requireObjects(t, scope.Environment, both...)

	w.deploy(t, scope, document(scope, network+volumes+mounted))
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	all := append([]string{"network shop.backend", "container shop.web.0"}, both...)
	running := lives(t, scope.Environment, "web")

	// Neither to leave it out, nor to declare another type, nor to destroy all.
	for n, ask := range []func(){
		func() { w.deploy(t, scope, document(scope, network+compute("web", "1", healthy))) },
		func() { w.deploy(t, scope, document(scope, "    - {name: ledger, type: Network}\n")) },
		func() { w.destroy(t, scope) },
	} {
		ask()
		end := w.requireEnd(t, scope, 3+n, schemas.StatusDeploymentFailed)
		require.Equal(t, "Protected", end.Deployment.Error.Kind)
		require.Contains(t, end.Deployment.Error.Hint, "windlass unprotect "+scope.String()+" ledger")
	}
	w.settle(t, scope)
	requireObjects(t, scope.Environment, all...)
	require.Equal(t, running, lives(t, scope.Environment, "web"), "a refused plan touches nothing")

	w.command(t, scope, schemas.CommandUnprotectRequested, schemas.UnprotectRequested{Scope: scope, Resources: []string{"ledger"}, Reason: "it is only a test"})
	told := w.awaitEvent(t, scope, "that protection is lifted", func(e schemas.Event) bool { return e.Type == schemas.StatusResourceUnprotected })
	require.Equal(t, "it is only a test", told.Resource.Cause)
	w.destroy(t, scope)
	w.requireEnd(t, scope, 6, schemas.StatusDeploymentSucceeded)
	requireObjects(t, scope.Environment, "volume shop.archive")
}
