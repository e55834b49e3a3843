package kubernetes

import (
	"context"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

var kindPodMetrics = schemaKind{Group: "metrics.k8s.io", Version: "v1beta1", Kind: "PodMetrics"}

// Metrics implements activities.Provider. They come from the cluster's metrics server,
// which averages over about 15 seconds; a cluster without one has none. It knows nothing
// of networks.
func (p *Provider) Metrics(ctx context.Context, target plan.Target) ([]activities.Metrics, error) {
	if err := p.mine(target); err != nil {
		return nil, err
	}
	if served, err := p.client.Serves(ctx, kindPodMetrics); err != nil || !served {
		return nil, err
	}
	var measured []activities.Metrics
	options := cluster.ListOptions{Kind: kindPodMetrics, Labels: selector(manifest.Identity(target))}
	_, err := p.client.List(ctx, options, func(o *unstructured.Unstructured) error {
		measured = append(measured, measurement(o))
		return nil
	})
	return measured, err
}

func measurement(o *unstructured.Unstructured) activities.Metrics {
	m := activities.Metrics{Replica: o.GetName()}
	// A time that cannot be read stays zero.
	if text, _, _ := unstructured.NestedString(o.Object, "timestamp"); text != "" {
		_ = m.At.UnmarshalText([]byte(text))
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, "containers")
	for _, c := range containers {
		usage, _ := c.(map[string]any)["usage"].(map[string]any)
		cpu, _ := usage["cpu"].(string)
		memory, _ := usage["memory"].(string)
		if q, err := resource.ParseQuantity(cpu); err == nil {
			m.CPU += q.AsApproximateFloat64()
		}
		if q, err := resource.ParseQuantity(memory); err == nil {
			m.MemoryBytes += q.Value()
		}
	}
	return m
}
