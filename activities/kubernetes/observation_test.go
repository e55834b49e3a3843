package kubernetes

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/kubernetes"
)

// Half an observation would be the plan to make what is there, or to forget it.
func TestAnObservationIsWholeOrNone(t *testing.T) {
	t.Parallel()
	w, gate := behindGate(t)
	w.mustDeploy(w.everything())
	began := len(gate.Passed())
	whole, err := w.provider.Observe(t.Context(), w.scope)
	require.NoError(t, err)
	require.Len(t, whole, 6)
	requests := len(gate.Passed()) - began
	require.Greater(t, requests, 10)
	for n := range requests {
		for _, trouble := range []kubernetes.Trouble{
			{Skip: n, Code: http.StatusInternalServerError},
			{Skip: n, Code: http.StatusBadGateway, Late: true},
		} {
			gate.Clear()
			befallen := gate.Make(trouble)
			found, err := w.provider.Observe(t.Context(), w.scope)
			require.True(t, activities.IsKind(err, activities.Unavailable), "request %d: %v", n, err)
			require.Empty(t, found)
			require.Equal(t, 1, befallen())
		}
	}
}

// Whoever asks too often is told so, and is not when waiting a moment is all that it takes.
func TestAServerThatThrottlesIsAskedLater(t *testing.T) {
	t.Parallel()
	w, gate := behindGate(t)
	document := w.document(network, db)
	gate.Make(kubernetes.Trouble{Skip: 3, Times: 2, Code: http.StatusTooManyRequests, Reason: "TooManyRequests", RetryAfter: 1})
	_, err := w.attempt(t.Context(), w.declare(document))
	require.NoError(t, err)
	w.requireNothingToDo(document)

	gate.Make(kubernetes.Trouble{Times: -1, Method: http.MethodDelete, Code: http.StatusTooManyRequests, Reason: "TooManyRequests"})
	_, err = w.attempt(t.Context(), nil)
	require.True(t, activities.IsKind(err, activities.Throttled), "%v", err)
	gate.Clear()
	w.destroy(t.Context())
	w.requireNothingLeft()
}

// An object that cannot be seen would keep everything else from being observed.
func TestManifestsOfAKindThatMayNotBeSeenLeaveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const copies = `{name: copies, type: Kubernetes, properties: {manifests: "{apiVersion: v1, kind: ConfigMap, metadata: {name: one}}\n---\n{apiVersion: v1, kind: ReplicationController, metadata: {name: two}, spec: {}}"}}`
	_, err := w.attempt(t.Context(), w.declare(w.document(copies)))
	require.True(t, activities.IsKind(err, activities.Forbidden), "%v", err)
	require.ErrorContains(t, err, "replicationcontrollers")
	w.requireNothingLeft()
}
