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
func (p *Provider) await(ctx context.Context, d plan.Desired, objects []*unstructured.Unstructured, secrets activities.Secrets, say activities.Progress) error {
	for _, o := range objects {
		if !waits(o.GroupVersionKind()) {
			continue
		}
		if err := p.awaitReady(ctx, d, cluster.ReferenceOf(o), secrets, say); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady looks at one object and at the pods of its resource: the object says when
// all is well, and the pods say first when it will not be.
func (p *Provider) awaitReady(ctx context.Context, d plan.Desired, r cluster.Reference, secrets activities.Secrets, say activities.Progress) error {
	return p.attend(ctx, d, r, secrets, func(v view) (bool, *activities.Fault, time.Time) {
		if v.object == nil {
			return false, &activities.Fault{Kind: activities.Unavailable, Message: fmt.Sprintf("%s was removed by somebody while it was awaited", r)}, time.Time{}
		}
		ready, message, failed := cluster.Status(v.object)
		if ready {
			return true, nil, time.Time{}
		}
		if failed {
			return false, &activities.Fault{Kind: activities.Unhealthy, Message: fmt.Sprintf("%s failed: %s", named(v.object), message)}, time.Time{}
		}
		say(fmt.Sprintf("waiting until %s is ready: %s", named(v.object), message))
		fault, again := v.stall(time.Now())
		return false, fault, again
	})
}
