package kubernetes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities/kubernetes/cluster"
)

// A Deployment whose number of replicas nobody says has one.
func TestReplicasStayWhenAnAutoscalerTakesThemOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fixed := w.document(`{name: web, type: Compute, properties: {image: a/web:1, resources: {cpuRequest: 100m}, replicas: 5}}`)
	w.mustDeploy(fixed)
	deployment := cluster.Reference{GroupVersionKind: kindDeployment, Namespace: w.namespace(""), Name: "web"}
	replicas := func() int64 {
		found, err := w.provider.find(t.Context(), deployment)
		require.NoError(t, err)
		n, _, err := unstructured.NestedInt64(found.Object, "spec", "replicas")
		require.NoError(t, err)
		return n
	}
	scaled := w.document(scaling(2, 8))
	w.mustDeploy(scaled)
	require.Equal(t, int64(5), replicas())
	w.requireNothingToDo(scaled)

	// The autoscaler has the last word: it brings them within its bounds.
	narrow := w.document(scaling(2, 3))
	w.mustDeploy(narrow)
	require.Eventually(t, func() bool { return replicas() == 3 }, time.Minute, 100*time.Millisecond)
	w.requireNothingToDo(narrow)

	w.mustDeploy(fixed)
	require.Equal(t, int64(5), replicas())
	w.requireNothingToDo(fixed)
}
