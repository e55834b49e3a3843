package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/schemas"
)

// hiding redacts one word besides what it would redact anyway.
type hiding struct {
	activities.Secrets
	word string
}

func (h hiding) Redact(text string) string {
	return strings.ReplaceAll(h.Secrets.Redact(text), h.word, "[redacted]")
}

func TestEvidenceTellsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.declare(w.document(web("fate.test/crash:1", 1, "")))[0]
	evidence := func(secrets activities.Secrets) *schemas.Evidence {
		_, err := w.provider.Apply(t.Context(), d, secrets, func(string) {})
		var f *activities.Fault
		require.ErrorAs(t, err, &f)
		return f.Evidence
	}
	require.Contains(t, strings.Join(evidence(w.vault.Open(w.scope)).Logs, "\n"), "fatal: cannot go on", "what the container wrote")
	hidden := strings.Join(evidence(hiding{w.vault.Open(w.scope), "fatal"}).Logs, "\n")
	require.Contains(t, hidden, "[redacted]: cannot go on")
	require.NotContains(t, hidden, "fatal")
}

func TestAPodForWhichANodeIsAddedIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.declare(w.document(`{name: web, type: Compute, properties: {image: a/web:1, resources: {cpuRequest: "1000"}}}`))[0]
	apply := func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		_, err := w.provider.Apply(ctx, d, w.vault.Open(w.scope), func(string) {})
		return err
	}
	err := apply(time.Minute)
	require.True(t, activities.IsKind(err, activities.Unhealthy), "%v", err)
	require.ErrorContains(t, err, "no node can take pod")

	namespace := manifest.Namespace(d)
	var pod string
	_, err = w.provider.client.List(t.Context(), cluster.ListOptions{Kind: kindPod, Namespace: namespace}, func(o *unstructured.Unstructured) error {
		pod = o.GetName()
		return nil
	})
	require.NoError(t, err)
	// As the cluster's autoscaler notes it.
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, "/api/v1/namespaces/"+namespace+"/events", map[string]any{
		"metadata":       map[string]any{"name": pod + ".scale-up"},
		"involvedObject": map[string]any{"kind": "Pod", "namespace": namespace, "name": pod},
		"reason":         "TriggeredScaleUp", "type": "Normal", "message": "pod triggered scale-up",
	}, nil))
	require.ErrorIs(t, apply(5*time.Second), context.DeadlineExceeded, "its caller gives up first")
}
