package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// testOrder holds one resource back and expects everything that does not depend
// on it to be done meanwhile, however long its own chain of dependencies is. An
// execution level by level would wait.
func testOrder(t *testing.T, w *world) {
	scope := scopeOf(newEnvironment(t))
	released := make(chan struct{})
	w.engine.holding(func(r *http.Request) {
		if strings.HasPrefix(r.URL.Query().Get("name"), scope.Environment+".shop.slow.") {
			<-released
		}
	})
	t.Cleanup(func() { w.engine.holding(nil) })
	resources := "    - {name: backend, type: Network}\n" + compute("slow", "1", "") +
		compute("first", "1", healthy) +
		dependent(compute("second", "1", healthy), "first") +
		dependent(compute("third", "1", healthy), "second") +
		dependent(compute("last", "1", healthy), "slow")
	w.deploy(t, scope, document(scope, resources))
	ready := func(resource string) func(schemas.Event) bool {
		return func(e schemas.Event) bool {
			return e.Type == schemas.StatusResourceReady && e.Resource.Resource == resource
		}
	}
	w.awaitEvent(t, scope, "that the third is ready while slow is not", ready("third"))
	story := namesOf(w.story(t, scope))
	require.Contains(t, story, "resource.creating slow")
	require.NotContains(t, story, "resource.ready slow")
	require.NotContains(t, story, "resource.creating last")
	close(released)
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)

	place := map[string]int{}
	for i, name := range namesOf(w.story(t, scope)) {
		place[name] = i
	}
	for _, pair := range [][2]string{{"backend", "first"}, {"backend", "slow"}, {"first", "second"}, {"second", "third"}, {"slow", "last"}} {
		require.Less(t, place["resource.ready "+pair[0]], place["resource.creating "+pair[1]], "%v", pair)
	}
}

// dependent makes a resource depend on another one.
func dependent(resource, on string) string {
	return strings.Replace(resource, "      type: Compute\n", "      type: Compute\n      dependsOn: ["+on+"]\n", 1)
}
