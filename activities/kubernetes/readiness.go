package kubernetes

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/plan"
)

// await returns when every object of a resource is ready. The error is a *Fault of kind
// Unhealthy, with evidence, as soon as it is plain that one will not be.
func (p *Provider) await(ctx context.Context, d plan.Desired, objects []*unstructured.Unstructured, say activities.Progress) error {
	for _, o := range objects {
		if !waits(o.GroupVersionKind()) {
			continue
		}
		if err := p.awaitReady(ctx, d, cluster.ReferenceOf(o), say); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady looks at one object and at the pods of its resource: the object says when
// all is well, and the pods say first when it will not be.
func (p *Provider) awaitReady(ctx context.Context, d plan.Desired, r cluster.Reference, say activities.Progress) error {
	var fault *activities.Fault
	err := p.look(ctx, d, r, func(v view) (bool, time.Time) {
		if v.object == nil {
			fault = &activities.Fault{Kind: activities.Unavailable, Message: fmt.Sprintf("%s was removed by somebody while it was awaited", r)}
			return true, time.Time{}
		}
		ready, message, failed := cluster.Status(v.object)
		if ready {
			return true, time.Time{}
		}
		if failed {
			fault = &activities.Fault{Kind: activities.Unhealthy, Message: fmt.Sprintf("%s failed: %s", named(v.object), message)}
			return true, time.Time{}
		}
		say(fmt.Sprintf("waiting until %s is ready: %s", named(v.object), message))
		var again time.Time
		fault, again = v.stall(time.Now())
		return fault != nil, again
	})
	if err != nil || fault == nil {
		return err
	}
	return p.withEvidence(ctx, d, r.Namespace, fault)
}
