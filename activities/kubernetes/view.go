package kubernetes

import (
	"context"
	"errors"
	"maps"
	"slices"
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

// view is an object with the pods of its resource, as the server told of them last.
type view struct {
	// object is nil when it is not there.
	object *unstructured.Unstructured
	// pods are those of every version, by name; version is the label of the declared one.
	pods    map[string]*corev1.Pod
	version string
	// began is since when it is looked at.
	began time.Time
	// expected are the pods for which a node is being added.
	expected map[string]bool
	// objectListed and podsListed say that everything that was there was told of.
	objectListed, podsListed bool
}

// news is what one of the two watches of a look tells.
type news struct {
	event cluster.Event
	pod   bool
}

// newsTogether bounds what is looked at as one change, where much is told at once.
const newsTogether = 100

// attend looks until decide is done or has a fault, or until it is plain that the declared
// version will not come up. The error then is the fault, with evidence.
func (p *Provider) attend(ctx context.Context, d plan.Desired, r cluster.Reference, secrets activities.Secrets, decide func(view) (done bool, fault *activities.Fault, again time.Time)) error {
	return p.attendPods(ctx, d, r, selector(manifest.Identity(d.Target)), secrets, decide)
}

// attendPods is attend with the pods that a selector finds.
func (p *Provider) attendPods(ctx context.Context, d plan.Desired, r cluster.Reference, pods string, secrets activities.Secrets, decide func(view) (done bool, fault *activities.Fault, again time.Time)) error {
	expected := map[string]bool{}
	for {
		var fault *activities.Fault
		err := p.look(ctx, d, r, pods, expected, func(v view) (bool, time.Time) {
			var done bool
			var again time.Time
			done, fault, again = decide(v)
			return done || fault != nil, again
		})
		if err != nil || fault == nil {
			return err
		}
		if pod := fault.Evidence; errors.Is(fault, errNoNode) && p.nodeIsAdded(ctx, r.Namespace, pod.Container) {
			expected[pod.Container] = true
			continue
		}
		if errors.Is(fault, errFewPods) {
			reason := p.refusalOf(ctx, r)
			if reason == "" {
				continue
			}
			fault = podless(secrets.Redact(reason))
		}
		return p.withEvidence(ctx, d, r.Namespace, secrets, fault)
	}
}

// refusalOf is why the controller of an object could not make a pod the last time that it
// tried; empty where it could, or has not said.
func (p *Provider) refusalOf(ctx context.Context, r cluster.Reference) string {
	var message string
	var newest time.Time
	err := p.events(ctx, r.Namespace, r.Kind, r.Name, func(e *corev1.Event) {
		if at := when(e); (e.Reason == "FailedCreate" || e.Reason == "SuccessfulCreate") && !at.Before(newest) {
			message, newest = e.Message, at
			if e.Reason == "SuccessfulCreate" {
				message = ""
			}
		}
	})
	if err != nil {
		p.logger.Warn("cannot see why pods are missing", "object", r.String(), "error", err)
	}
	return message
}

// nodeIsAdded says whether the cluster's autoscaler has noted that it adds a node for a pod.
// https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md,
// https://karpenter.sh/docs/troubleshooting/
func (p *Provider) nodeIsAdded(ctx context.Context, namespace, pod string) bool {
	added := false
	err := p.events(ctx, namespace, kindPod.Kind, pod, func(e *corev1.Event) {
		added = added || e.Reason == "TriggeredScaleUp" || e.Reason == "Nominated"
	})
	if err != nil {
		p.logger.Warn("cannot see whether a node is added for a pod", "pod", pod, "error", err)
	}
	return added
}

// look calls decide with every view that the server tells of, until it is done. Decide
// may name a time at which to be called again although nothing was told.
func (p *Provider) look(ctx context.Context, d plan.Desired, r cluster.Reference, pods string, expected map[string]bool, decide func(view) (done bool, again time.Time)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := make(chan news, newsTogether)
	group, groupContext := errgroup.WithContext(ctx)
	follow := func(options cluster.ListOptions, pod bool) {
		group.Go(func() error {
			return p.client.Follow(groupContext, options, func(e cluster.Event) (bool, error) {
				select {
				case told <- news{e, pod}:
					return false, nil
				case <-groupContext.Done():
					return true, groupContext.Err()
				}
			})
		})
	}
	follow(cluster.ListOptions{Kind: r.GroupVersionKind, Namespace: r.Namespace, Fields: "metadata.name=" + r.Name}, false)
	follow(cluster.ListOptions{Kind: kindPod, Namespace: r.Namespace, Labels: pods}, true)
	v := view{began: time.Now(), expected: expected, pods: map[string]*corev1.Pod{}, version: manifest.VersionLabels(d)[manifest.LabelSpec]}
	done := v.gather(groupContext, told, decide)
	cancel()
	if err := group.Wait(); !done {
		return err
	}
	return nil
}

// gather keeps the view up to date until decide is done, or the watches have ended.
func (v *view) gather(ctx context.Context, told <-chan news, decide func(view) (bool, time.Time)) bool {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return false
		case n := <-told:
			v.take(n)
			for range len(told) {
				v.take(<-told)
			}
		case <-timer.C:
		}
		if !v.objectListed || !v.podsListed {
			continue
		}
		done, again := decide(*v)
		if done {
			return true
		}
		if !again.IsZero() {
			timer.Reset(max(0, time.Until(again)))
		}
	}
}

func (v *view) take(n news) {
	o := n.event.Object
	switch {
	case o == nil && n.pod:
		v.podsListed = true
	case o == nil:
		v.objectListed = true
	case !n.pod && n.event.Deleted:
		v.object = nil
	case !n.pod:
		v.object = o
	case n.event.Deleted:
		delete(v.pods, o.GetName())
	default:
		if pod, err := podOf(o); err == nil {
			v.pods[pod.Name] = pod
		}
	}
}

// stall is why the declared version will plainly not come up, for one of its pods or since
// it gets none; nil where it still may. The second value is when to look again.
func (v *view) stall(now time.Time) (*activities.Fault, time.Time) {
	var again time.Time
	for _, name := range slices.Sorted(maps.Keys(v.pods)) {
		pod := v.pods[name]
		if pod.Labels[manifest.LabelSpec] != v.version {
			continue
		}
		fault, at := stall(pod, now)
		if fault != nil && errors.Is(fault, errNoNode) && v.expected[name] {
			continue
		}
		if fault != nil {
			return fault, time.Time{}
		}
		again = earlier(again, at)
	}
	if v.object == nil {
		return nil, again
	}
	var fault *activities.Fault
	var at time.Time
	if v.object.GroupVersionKind() == kindDeployment {
		fault, at = refusal(v.object, v.began, now)
	} else {
		fault, at = lack(v.object, len(v.pods), v.began, now)
	}
	return fault, earlier(again, at)
}

func podOf(o *unstructured.Unstructured) (*corev1.Pod, error) {
	var pod corev1.Pod
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod)
	return &pod, err
}
