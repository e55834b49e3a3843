package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

// Delete implements activities.Provider. It removes whatever carries the labels of the
// resource, except retained claims of volumes: what brings requests first, then what
// makes pods, and what those used last.
func (p *Provider) Delete(ctx context.Context, target plan.Target, progress activities.Progress) error {
	if err := p.mine(target); err != nil {
		return err
	}
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, target, say)
	if err != nil {
		return err
	}
	defer unlock()
	if target.Type == schemas.TypeKubernetes {
		if err := p.deleteRaw(ctx, target, say); err != nil {
			return err
		}
	}
	kinds, err := p.kinds(ctx, target.Type)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := p.deleteKind(ctx, target, kind, say); err != nil {
			return err
		}
		// Pods whose Job or Deployment somebody removed without them are nobody's any more.
		if kind == kindJob {
			if err := p.deleteKind(ctx, target, kindPod, say); err != nil {
				return err
			}
		}
	}
	return p.releaseHome(ctx, target.Scope)
}

// deleteKind removes the objects of one kind that belong to the target.
func (p *Provider) deleteKind(ctx context.Context, target plan.Target, kind schemaKind, say activities.Progress) error {
	found, err := p.list(ctx, kind, "", manifest.Identity(target))
	if err != nil {
		return err
	}
	for _, o := range found {
		switch {
		case kind == kindClaim && retained(o):
			continue
		case kind == kindNamespace:
			err = p.removeNamespace(ctx, target, o, say)
		default:
			err = p.remove(ctx, o, say)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func retained(o *unstructured.Unstructured) bool {
	return o.GetAnnotations()[manifest.AnnotationRetention] == string(schemas.RetentionRetain)
}

// remove removes an object with everything that it has made, and waits until it is gone.
func (p *Provider) remove(ctx context.Context, o *unstructured.Unstructured, say activities.Progress) error {
	reference := cluster.ReferenceOf(o)
	say(fmt.Sprintf("removing %s %s", o.GetKind(), o.GetName()))
	if err := p.client.Delete(ctx, reference, cluster.DeleteOptions{UID: o.GetUID(), Propagation: cluster.Foreground}); err != nil {
		return err
	}
	if err := p.awaitGone(ctx, reference, say); err != nil {
		return err
	}
	p.logger.Info("removed", "kind", o.GetKind(), "namespace", o.GetNamespace(), "name", o.GetName())
	return nil
}

// removeNamespace removes the namespace of a Network. One in which something has to stay
// is kept, and stands for the scope alone from then on.
func (p *Provider) removeNamespace(ctx context.Context, target plan.Target, o *unstructured.Unstructured, say activities.Progress) error {
	kinds, err := p.kinds(ctx, allTypes()...)
	if err != nil {
		return err
	}
	scope, keep := p.scopeLabels(target.Scope), false
	for _, kind := range append(kinds, kindPod) {
		if kind == kindNamespace || kind == kindConfigMap || kind == kindSecret {
			continue
		}
		_, err := p.client.List(ctx, cluster.ListOptions{Kind: kind, Namespace: o.GetName()}, func(inside *unstructured.Unstructured) error {
			if !carries(inside.GetLabels(), scope) {
				return &activities.Fault{Kind: activities.Conflict, Resource: target.Resource,
					Message: fmt.Sprintf("namespace %q holds the %s %q, which Windlass did not make and which would be removed with it", o.GetName(), kind.Kind, inside.GetName()),
					Hint:    "remove it, or move it to another namespace"}
			}
			keep = keep || kind == kindClaim && retained(inside)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !keep {
		return p.remove(ctx, o, say)
	}
	say("keeping namespace " + o.GetName() + " for the volumes in it")
	kept := object(cluster.ReferenceOf(o), scope)
	_, err = p.client.Apply(ctx, kept, cluster.ApplyOptions{})
	return err
}

// defaultStuckAfter is how long an object may be about to go before that is a failure: the
// longest grace period that pods are given as a rule, twice.
const defaultStuckAfter = 2 * time.Minute

// awaitGone waits until an object that is being removed is gone. One that does not go
// is a failure that says what holds it.
func (p *Provider) awaitGone(ctx context.Context, r cluster.Reference, say activities.Progress) error {
	patience, cancel := context.WithTimeout(ctx, p.stuckAfter)
	defer cancel()
	err := p.client.AwaitGone(patience, r, func(o *unstructured.Unstructured) { say(departing(o)) })
	if err == nil || ctx.Err() != nil || patience.Err() == nil {
		return err
	}
	o, err := p.find(ctx, r)
	if err != nil || o == nil {
		return err
	}
	return &activities.Fault{Kind: activities.Conflict, Message: fmt.Sprintf("%s has not gone in %s: %s", named(o), p.stuckAfter, holds(o)),
		Hint: "have what set the finalizers take them away"}
}

// departing says in words that an object is about to go, and what it waits for.
func departing(o *unstructured.Unstructured) string {
	return fmt.Sprintf("waiting until %s is gone: %s", named(o), holds(o))
}

// holds says in words what keeps an object that is to go.
func holds(o *unstructured.Unstructured) string {
	var remaining []string
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if kind, _ := condition["type"].(string); condition["status"] == "True" && (kind == "NamespaceContentRemaining" || kind == "NamespaceFinalizersRemaining" || kind == "NamespaceDeletionContentFailure") {
			message, _ := condition["message"].(string)
			remaining = append(remaining, message)
		}
	}
	if len(remaining) > 0 {
		return strings.Join(remaining, "; ")
	}
	if finalizers := o.GetFinalizers(); len(finalizers) > 0 {
		return fmt.Sprintf("it has the finalizers %q", finalizers)
	}
	return "what it has made is still there"
}

func named(o *unstructured.Unstructured) string {
	if o.GetNamespace() == "" {
		return fmt.Sprintf("%s %q", o.GetKind(), o.GetName())
	}
	return fmt.Sprintf("%s %q of namespace %q", o.GetKind(), o.GetName(), o.GetNamespace())
}

// prune removes what carries the labels of a resource and is not among its objects any
// more, such as what was made by an earlier version.
func (p *Provider) prune(ctx context.Context, target plan.Target, objects []*unstructured.Unstructured, say activities.Progress) error {
	keep := map[cluster.Reference]bool{}
	for _, o := range objects {
		keep[cluster.ReferenceOf(o)] = true
	}
	kinds, err := p.kinds(ctx, target.Type)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		found, err := p.list(ctx, kind, "", manifest.Identity(target))
		if err != nil {
			return err
		}
		for _, o := range found {
			if keep[cluster.ReferenceOf(o)] || kind == kindClaim && retained(o) {
				continue
			}
			if err := p.remove(ctx, o, say); err != nil {
				return err
			}
		}
	}
	return nil
}

// list gathers the objects of a kind that carry labels.
func (p *Provider) list(ctx context.Context, kind schemaKind, namespace string, labels map[string]string) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	_, err := p.client.List(ctx, cluster.ListOptions{Kind: kind, Namespace: namespace, Labels: selector(labels)}, func(o *unstructured.Unstructured) error {
		found = append(found, o)
		return nil
	})
	return found, err
}
