package kubernetes

import (
	"context"
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
}

// news is what one of the two watches of a look tells.
type news struct {
	event cluster.Event
	pod   bool
}

// look calls decide with every view that the server tells of, until it is done. Decide
// may name a time at which to be called again although nothing was told.
func (p *Provider) look(ctx context.Context, d plan.Desired, r cluster.Reference, decide func(view) (done bool, again time.Time)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := make(chan news)
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
	follow(cluster.ListOptions{Kind: kindPod, Namespace: r.Namespace, Labels: selector(manifest.Identity(d.Target))}, true)
	v := view{began: time.Now(), pods: map[string]*corev1.Pod{}, version: manifest.VersionLabels(d)[manifest.LabelSpec]}
	done := v.gather(groupContext, told, decide)
	cancel()
	if err := group.Wait(); !done {
		return err
	}
	return nil
}

// gather keeps the view up to date until decide is done, or the watches have ended.
func (v *view) gather(ctx context.Context, told <-chan news, decide func(view) (bool, time.Time)) bool {
	var objectListed, podsListed bool
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return false
		case n := <-told:
			v.take(n)
			objectListed = objectListed || !n.pod && n.event.Object == nil
			podsListed = podsListed || n.pod && n.event.Object == nil
		case <-timer.C:
		}
		if !objectListed || !podsListed {
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
	case o == nil:
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
		if fault != nil {
			return fault, time.Time{}
		}
		again = earlier(again, at)
	}
	if v.object == nil {
		return nil, again
	}
	fault, at := refusal(v.object, v.began, now)
	return fault, earlier(again, at)
}

func podOf(o *unstructured.Unstructured) (*corev1.Pod, error) {
	var pod corev1.Pod
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod)
	return &pod, err
}
