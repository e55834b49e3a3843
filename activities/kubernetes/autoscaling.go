package kubernetes

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/plan"
)

// replicaKeeper is the field manager that keeps the number of replicas between the
// declaration that says it no more and the autoscaler that does not say it yet.
const replicaKeeper = cluster.FieldManager + "-replicas"

// keepReplicas has the number of replicas stay as it is where a Deployment was declared
// with one and is not any more: what no field manager says, the server makes 1.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
func (p *Provider) keepReplicas(ctx context.Context, o, found *unstructured.Unstructured) error {
	if o.GroupVersionKind() != kindDeployment || saysReplicas(o) || !ownedMembers(found, "f:spec")["replicas"] {
		return nil
	}
	replicas, _, err := unstructured.NestedInt64(found.Object, "spec", "replicas")
	if err != nil {
		return err
	}
	kept := object(cluster.ReferenceOf(o), nil)
	if err := unstructured.SetNestedField(kept.Object, replicas, "spec", "replicas"); err != nil {
		return err
	}
	_, err = p.client.With(cluster.WriteOptions{Manager: replicaKeeper}).Apply(ctx, kept, cluster.ApplyOptions{Force: true})
	return err
}

// stopAutoscaler removes the autoscaler of a Deployment that is declared with a number of
// replicas again: it would go on saying another one until it is pruned.
func (p *Provider) stopAutoscaler(ctx context.Context, t plan.Target, o, found *unstructured.Unstructured, say activities.Progress) error {
	if o.GroupVersionKind() != kindDeployment || !saysReplicas(o) || ownedMembers(found, "f:spec")["replicas"] {
		return nil
	}
	autoscaler, err := p.find(ctx, cluster.Reference{GroupVersionKind: kindAutoscaler, Namespace: o.GetNamespace(), Name: o.GetName()})
	if err != nil || autoscaler == nil || !p.owns(t, autoscaler) {
		return err
	}
	return p.remove(ctx, autoscaler, say)
}

func saysReplicas(o *unstructured.Unstructured) bool {
	_, said, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	return said
}
