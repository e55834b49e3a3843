package kubernetes

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/plan/supervision"
	"windlass/schemas"
)

var _ activities.SupervisedProvider = (*Provider)(nil)

// Supervises implements activities.SupervisedProvider: Deployments exchange their pods.
func (p *Provider) Supervises(declared plan.Desired) (bool, error) {
	if declared.Type != schemas.TypeCompute {
		return false, nil
	}
	c, err := schemas.Decode[schemas.Compute](declared.Declaration())
	if err != nil {
		return false, &activities.Fault{Kind: activities.Invalid, Resource: declared.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	return c.Overlaps(), nil
}

// BeginRollout implements activities.SupervisedProvider.
func (p *Provider) BeginRollout(ctx context.Context, declared plan.Desired, way supervision.Way, secrets activities.Secrets, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, declared.Target, say)
	if err != nil {
		return err
	}
	defer unlock()
	switch {
	case way.Beside.Replicas == 0:
		if err := p.endShares(ctx, declared.Target, say); err != nil {
			return err
		}
	case !way.Beside.Main:
		return p.beginBeside(ctx, declared, way, secrets, say)
	}
	_, err = p.declare(ctx, declared, secrets, say, func(o *unstructured.Unstructured) {
		if way.Paused && o.GroupVersionKind() == kindDeployment {
			_ = unstructured.SetNestedField(o.Object, true, "spec", "paused") // spec is an object
		}
	})
	return err
}

// exchangeInterval lies at least between two answers of WatchRollout, so that many pods
// that change together are one change; for each pod a little more, since each answer costs
// a list of them all.
const (
	exchangeInterval    = 500 * time.Millisecond
	exchangeIntervalPod = time.Millisecond
)

// WatchRollout implements activities.SupervisedProvider.
func (p *Provider) WatchRollout(ctx context.Context, declared plan.Desired, beside supervision.Beside, seen supervision.Exchange, secrets activities.Secrets, progress activities.Progress) (supervision.Exchange, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	if err := p.reveal(ctx, declared, secrets); err != nil { // so that no evidence tells one
		return seen, err
	}
	reference := cluster.Reference{GroupVersionKind: kindDeployment, Namespace: manifest.Namespace(declared), Name: manifest.ObjectName(declared.Resource)}
	pods := selector(manifest.Identity(declared.Target))
	if beside.Apart() {
		reference.Name, pods = manifest.CanaryName(declared.Resource), withCanary(manifest.Identity(declared.Target))
	}
	began := time.Now()
	var now supervision.Exchange
	err := p.attendPods(ctx, declared, reference, pods, secrets, func(v view) (bool, *activities.Fault, time.Time) {
		var fault *activities.Fault
		var again time.Time
		if now, fault, again = v.exchange(declared, beside, seen, time.Now()); fault != nil {
			return false, fault, time.Time{}
		}
		say(fmt.Sprintf("%d of %d replicas are available", now.Available, now.Declared))
		if now == seen {
			return false, nil, again
		}
		earliest := began.Add(exchangeInterval + time.Duration(len(v.pods))*exchangeIntervalPod)
		if time.Now().Before(earliest) && !now.Complete {
			return false, nil, earlier(again, earliest)
		}
		return true, nil, time.Time{}
	})
	return now, err
}

// FinishRollout implements activities.SupervisedProvider.
func (p *Provider) FinishRollout(ctx context.Context, declared plan.Desired, progress activities.Progress) (schemas.Outputs, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, declared.Target, say)
	if err != nil {
		return nil, err
	}
	defer unlock()
	options, err := p.offered(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := manifest.Objects(declared, options, nil)
	if err != nil {
		return nil, err
	}
	if err := p.endShares(ctx, declared.Target, say); err != nil {
		return nil, err
	}
	if err := p.prune(ctx, declared.Target, objects, say); err != nil {
		return nil, err
	}
	return p.Outputs(declared)
}

// exchange is how far a Deployment has come, and why it will plainly not come further;
// nil where it still may. The time is when to look again although nothing is told.
func (v view) exchange(d plan.Desired, beside supervision.Beside, seen supervision.Exchange, now time.Time) (supervision.Exchange, *activities.Fault, time.Time) {
	if v.object == nil {
		return seen, &activities.Fault{Kind: activities.Unhealthy, Message: "its Deployment was removed by somebody"}, time.Time{}
	}
	var deployment appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(v.object.Object, &deployment); err != nil {
		return seen, &activities.Fault{Kind: activities.Invalid, Message: err.Error(), Err: err}, time.Time{}
	}
	fault, again := v.stall(now)
	if fault != nil {
		return seen, fault, time.Time{}
	}
	declared := int(*deployment.Spec.Replicas)
	e := supervision.Exchange{Declared: declared}
	hold := time.Duration(d.RolloutStrategy().MinReadySeconds) * time.Second
	var newest int64
	for _, pod := range v.pods {
		if inactive(pod) {
			continue
		}
		ready, since := readiness(pod)
		made := pod.CreationTimestamp.Unix()
		switch {
		case pod.Labels[manifest.LabelSpec] != v.version:
			e.Old++
			if ready {
				e.OldAvailable++
			}
		case !ready && seen.Complete && made <= seen.Newest:
			return e, unreadyAgain(pod), time.Time{}
		case !ready:
			e.Updated++
		default:
			e.Updated++
			e.Ready++
			newest = max(newest, made)
			if at := since.Add(hold); now.Before(at) {
				again = earlier(again, at)
			} else {
				e.Available++
			}
		}
	}
	if s := deployment.Status; s.ObservedGeneration >= deployment.Generation && int(s.UpdatedReplicas) == declared && int(s.Replicas) == declared &&
		int(s.AvailableReplicas) == declared && (e.Old == 0 || beside.Apart()) && e.Updated == declared && e.Ready == declared {
		// The clock of the controller is the one that counts.
		e.Complete, e.Available, e.Newest = true, declared, newest
	}
	return e, nil, again
}

// earlier is the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// readiness says whether a pod is ready, and since when it is so or not.
func readiness(pod *corev1.Pod) (bool, time.Time) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue, c.LastTransitionTime.Time
		}
	}
	return false, time.Time{}
}

func unreadyAgain(pod *corev1.Pod) *activities.Fault {
	return &activities.Fault{Kind: activities.Unhealthy, Message: fmt.Sprintf("pod %s was ready and is not any more", pod.Name), Evidence: evidenceOf(pod)}
}
