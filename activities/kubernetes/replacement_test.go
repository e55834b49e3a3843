package kubernetes

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/dev/kubernetes"
	"windlass/plan"
)

func TestAVolumeOfAnotherClassTakesThePlaceOfTheFormer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/apis/storage.k8s.io/v1/storageclasses"
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, path, map[string]any{
		"metadata": map[string]any{"name": "fast"}, "provisioner": kubernetes.Provisioner,
	}, nil))
	w.mustDeploy(w.document(`{name: data, type: Storage}`))
	claim := cluster.Reference{GroupVersionKind: kindClaim, Namespace: w.namespace(""), Name: "data"}
	before, err := w.provider.find(t.Context(), claim)
	require.NoError(t, err)
	fast := w.document(`{name: data, type: Storage, properties: {driver: fast}}`)
	require.Equal(t, []string{`replace data: adds driver as "fast"`}, moves(w.plan(t.Context(), fast)))
	w.mustDeploy(fast)
	w.requireNothingToDo(fast)
	after, err := w.provider.find(t.Context(), claim)
	require.NoError(t, err)
	require.NotEqual(t, before.GetUID(), after.GetUID())
}

func TestAVolumeDoesNotShrink(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{`{name: data, type: Storage, properties: {size: %s}}`, `{name: data, type: Database, properties: {engine: postgres, version: "17", size: %s}}`} {
		w := newWorld(t)
		of := func(size string) plan.Desired { return w.declare(w.document(fmt.Sprintf(resource, size)))[0] }
		w.mustDeploy(w.document(fmt.Sprintf(resource, "2Gi")))
		err := w.provider.Permit(of("1Gi"), w.observed()[0])
		require.ErrorContains(t, err, "data: properties.size: a volume cannot become smaller")
		require.NoError(t, w.provider.Permit(of("3Gi"), w.observed()[0]))
	}
}

func TestAComputeThatMovesToAnotherNetworkLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const networks = `{name: one, type: Network}`
	on := func(network string) []string {
		return []string{networks, `{name: two, type: Network}`, `{name: web, type: Compute, properties: {image: a/web:1, ports: [{containerPort: 80}], networks: ["${` + network + `.name}"]}}`}
	}
	w.mustDeploy(w.document(on("one")...))
	moved := w.document(on("two")...)
	w.mustDeploy(moved)
	w.requireNothingToDo(moved)
	for namespace, there := range map[string]int{w.namespace("one"): 0, w.namespace("two"): 1} {
		found, err := w.provider.list(t.Context(), kindDeployment, namespace, nil)
		require.NoError(t, err)
		require.Len(t, found, there, namespace)
	}
}

func TestWhatIsRetainedOutlivesItsResourceAndItsNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retained := w.document(network, `{name: cache, type: Database, properties: {engine: redis, version: "7", retention: retain, networks: ["${backend.name}"]}}`)
	w.mustDeploy(retained)
	claim := cluster.Reference{GroupVersionKind: kindClaim, Namespace: w.namespace("backend"), Name: "cache"}
	before, err := w.provider.find(t.Context(), claim)
	require.NoError(t, err)
	w.destroy(t.Context())
	kept, err := w.provider.find(t.Context(), claim)
	require.NoError(t, err)
	require.Nil(t, kept.GetDeletionTimestamp())
	w.mustDeploy(retained)
	w.requireNothingToDo(retained)
	after, err := w.provider.find(t.Context(), claim)
	require.NoError(t, err)
	require.Equal(t, before.GetUID(), after.GetUID(), "the data is found again")
	// What is retained is for somebody to remove, as a person does.
	_, err = w.provider.client.Get(t.Context(), claim)
	require.NoError(t, err)
	w.mustDeploy(w.document(network))
	require.NoError(t, w.provider.remove(t.Context(), after, func(string) {}))
}

func TestWhatOthersMadeIsNotTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustDeploy(w.document(network))
	namespace := w.namespace("backend")
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, "/api/v1/namespaces/"+namespace+"/services", map[string]any{
		"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"ports": []any{map[string]any{"port": 1}}},
	}, nil))
	_, err := w.deploy(w.document(network, `{name: web, type: Compute, properties: {image: a/web:1, ports: [{containerPort: 80}], networks: ["${backend.name}"]}}`))
	require.ErrorContains(t, err, `there is a Service named "web" in namespace "`+namespace+`" already that does not carry the labels of this resource`)
	// Nor is the namespace removed under it.
	_, err = w.deploy(w.document(`{name: other, type: Storage}`))
	require.ErrorContains(t, err, `holds the Service "web", which Windlass did not make`)
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodDelete, "/api/v1/namespaces/"+namespace+"/services/web", nil, nil))
}

func TestWhatAnotherManagerDeclaresIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.document(web("a/web:1", 2, "maxSurge: 1"))
	w.mustDeploy(first)
	// Somebody declares the replicas by server-side apply, and by force.
	other := w.provider.client.With(cluster.WriteOptions{Manager: "argocd"})
	o := object(cluster.Reference{GroupVersionKind: kindDeployment, Namespace: w.namespace(""), Name: "web"}, nil)
	o.Object["spec"] = map[string]any{"replicas": int64(7)}
	_, err := other.Apply(t.Context(), o, cluster.ApplyOptions{Force: true})
	require.NoError(t, err)
	_, err = w.deploy(first)
	require.ErrorContains(t, err, "argocd")
	require.ErrorContains(t, err, ".spec.replicas")
	require.True(t, activities.IsKind(err, activities.Conflict))
}
