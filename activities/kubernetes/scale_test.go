package kubernetes

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// TestTwoThousandObjectsOfOneDocument applies them at the pace that the provider is
// configured for, whatever runs side by side, and keeps none of them in memory.
func TestTwoThousandObjectsOfOneDocument(t *testing.T) {
	const resources, each, pace, burst = 20, 100, 400, 100
	w := newWorldWith(t, kubeconfigOf(t, asWorker))
	slow, err := New(Config{Name: "docker", Kubeconfig: kubeconfigOf(t, asWorker), QPS: pace, Burst: burst})
	require.NoError(t, err)
	w.provider = slow
	declare := func(value string) []string {
		var all []string
		for r := range resources {
			var manifests strings.Builder
			for n := range each {
				fmt.Fprintf(&manifests, `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%d-%d}\ndata: {value: '%s'}\n`, r, n, value)
			}
			all = append(all, fmt.Sprintf(`{name: many-%d, type: Kubernetes, properties: {manifests: "%s"}}`, r, manifests.String()))
		}
		return all
	}
	apply := func(value string) {
		document := w.document(declare(value)...)
		w.revision++
		desired, err := activities.Declare(document, w.revision, w.providers())
		require.NoError(t, err)
		began := time.Now()
		var group errgroup.Group
		for _, d := range desired {
			group.Go(func() error {
				_, err := w.provider.Apply(t.Context(), d, w.vault.Open(w.scope), func(string) {})
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Greater(t, time.Since(began), (resources*each-burst)*time.Second/pace, "faster than the limit allows")
		require.Empty(t, moves(plan.Diff(desired, w.observed())))
	}
	before := heap()
	apply("a")
	apply("b")
	require.Less(t, heap(), before+64<<20, "what was applied is still in memory")
	var group errgroup.Group
	for r := range resources {
		group.Go(func() error {
			return w.provider.Delete(t.Context(), plan.Target{Scope: w.scope, Resource: fmt.Sprintf("many-%d", r), Type: schemas.TypeKubernetes, Provider: "docker"}, func(string) {})
		})
	}
	require.NoError(t, group.Wait())
	w.requireNothingLeft()
}

// heap is what is in use after everything that is not has been collected.
func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
