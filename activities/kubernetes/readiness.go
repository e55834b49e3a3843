package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

// errSeen ends a watch that has seen what it was for.
var errSeen = errors.New("seen")

// await returns when every object of a resource is ready. It is told of changes by the
// server. The error is a *Fault of kind Unhealthy, with evidence, as soon as it is plain
// that one will not be.
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

// awaitReady watches one object and the pods of its resource side by side: the object
// says when all is well, and the pods say first when it will not be.
func (p *Provider) awaitReady(ctx context.Context, d plan.Desired, r cluster.Reference, say activities.Progress) error {
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error {
		var failure *activities.Fault
		err := p.client.Follow(groupContext, cluster.ListOptions{Kind: r.GroupVersionKind, Namespace: r.Namespace, Fields: "metadata.name=" + r.Name}, func(e cluster.Event) (bool, error) {
			if e.Deleted {
				return true, gone(d, r)
			}
			ready, message, failed := cluster.Status(e.Object)
			if ready || failed {
				if failed {
					failure = &activities.Fault{Kind: activities.Unhealthy, Resource: d.Resource, Message: message}
				}
				return true, nil
			}
			say(fmt.Sprintf("waiting until %s is ready: %s", named(e.Object), message))
			return false, nil
		})
		if err != nil {
			return err
		}
		if failure != nil {
			return p.withEvidence(groupContext, d, failure)
		}
		return errSeen
	})
	group.Go(func() error { return p.watchPods(groupContext, d, r.Namespace) })
	if err := group.Wait(); !errors.Is(err, errSeen) {
		return err
	}
	return nil
}

func gone(d plan.Desired, r cluster.Reference) error {
	return &activities.Fault{Kind: activities.Unavailable, Resource: d.Resource, Message: fmt.Sprintf("%s %q was removed by somebody while it was awaited", r.Kind, r.Name)}
}

// watchPods returns when it is plain that a pod of the declared version will not come up.
func (p *Provider) watchPods(ctx context.Context, d plan.Desired, namespace string) error {
	pods := map[string]*corev1.Pod{}
	options := cluster.ListOptions{Kind: kindPod, Namespace: namespace, Labels: selector(manifest.VersionLabels(d))}
	var fault *activities.Fault
	err := p.client.Follow(ctx, options, func(e cluster.Event) (bool, error) {
		if e.Deleted {
			delete(pods, e.Object.GetName())
			return false, nil
		}
		pod, err := podOf(e.Object)
		if err != nil {
			return false, err
		}
		pods[pod.Name] = pod
		fault = stall(pod, time.Now())
		return fault != nil, nil
	})
	if err != nil {
		return err
	}
	fault.Resource = d.Resource
	return p.withEvidence(ctx, d, fault)
}

func podOf(o *unstructured.Unstructured) (*corev1.Pod, error) {
	var pod corev1.Pod
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod)
	return &pod, err
}
