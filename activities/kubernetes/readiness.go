package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/plan"
	"windlass/schemas"
)

// servedPoll is between two looks at whether the server serves a kind: it tells nobody.
const servedPoll = 100 * time.Millisecond

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
			if unserved := p.client.Unserved(ctx, v.object); unserved != "" {
				say(fmt.Sprintf("waiting until %s is ready: %s", named(v.object), unserved))
				return false, nil, time.Now().Add(servedPoll)
			}
		}
		if ready && (d.Type != schemas.TypeCompute || !atWork(v.object)) {
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

// atWork says whether an object is a Job that has not completed, which is as it is declared
// for kstatus from its start on.
func atWork(o *unstructured.Unstructured) bool {
	if o.GroupVersionKind() != kindJob {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return !slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == string(batchv1.JobComplete) && condition["status"] == string(corev1.ConditionTrue)
	})
}
