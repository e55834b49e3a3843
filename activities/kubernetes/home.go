package kubernetes

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/schemas"
)

// annotationUsed is when something was last about to be made in the home namespace. It
// makes the namespace another version of itself, so that whoever found it empty before
// does not remove it.
const annotationUsed = manifest.LabelPrefix + "used"

// scopeLabels are the labels of everything that this provider holds for the scope.
func (p *Provider) scopeLabels(s schemas.Scope) map[string]string {
	labels := manifest.ScopeLabels(s)
	labels[manifest.LabelProvider] = p.name
	return labels
}

// requireNamespace makes the home namespace of the scope, where that is the namespace
// that something is about to be made in; every other is somebody else's to make.
func (p *Provider) requireNamespace(ctx context.Context, scope schemas.Scope, namespace string, say activities.Progress) error {
	if namespace == "" || namespace != manifest.HomeNamespace(scope) {
		return nil
	}
	reference := cluster.Reference{GroupVersionKind: kindNamespace, Name: namespace}
	found, err := p.find(ctx, reference)
	if err != nil {
		return err
	}
	if found != nil && !carries(found.GetLabels(), p.scopeLabels(scope)) {
		return foreign("", found)
	}
	if found != nil && found.GetDeletionTimestamp() != nil {
		if err := p.awaitGone(ctx, reference, say); err != nil {
			return err
		}
	}
	home := object(cluster.Reference{GroupVersionKind: kindNamespace, Name: namespace}, p.scopeLabels(scope))
	home.SetAnnotations(map[string]string{annotationUsed: time.Now().UTC().Format(time.RFC3339Nano)})
	_, err = p.client.Apply(ctx, home, cluster.ApplyOptions{})
	return err
}

// releaseHome removes the home namespace of the scope when nothing is left in it. The
// version that was read before looking decides: who makes something there in between
// makes it another one first, and is looked for again.
func (p *Provider) releaseHome(ctx context.Context, scope schemas.Scope) error {
	reference := cluster.Reference{GroupVersionKind: kindNamespace, Name: manifest.HomeNamespace(scope)}
	kinds, err := p.kinds(ctx, allTypes()...)
	if err != nil {
		return err
	}
	for {
		home, err := p.find(ctx, reference)
		if err != nil || home == nil || !carries(home.GetLabels(), p.scopeLabels(scope)) || home.GetDeletionTimestamp() != nil {
			return err
		}
		for _, kind := range append(kinds, kindPod) {
			if kind == kindNamespace {
				continue
			}
			if empty, err := p.isEmpty(ctx, kind, home.GetName()); err != nil || !empty {
				return err
			}
		}
		err = p.client.Delete(ctx, reference, cluster.DeleteOptions{UID: home.GetUID(), ResourceVersion: home.GetResourceVersion()})
		if !activities.IsKind(err, activities.Conflict) {
			return err
		}
	}
}

// abandonTimeout bounds what is done after a failure, for a caller who may be gone.
const abandonTimeout = 10 * time.Second

// abandonHome removes the home namespace when a resource failed before anything of it was
// made there: nothing that can be seen is left of it then, so that nobody would ever ask
// for its removal. Where a retry may mend the failure the namespace is needed again.
func (p *Provider) abandonHome(ctx context.Context, scope schemas.Scope, failure error) {
	if activities.IsKind(failure, activities.Unavailable) || activities.IsKind(failure, activities.Throttled) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	if err := p.releaseHome(ctx, scope); err != nil {
		p.logger.Warn("could not see whether the namespace is empty", "namespace", manifest.HomeNamespace(scope), "error", err)
	}
}

// isEmpty says whether a namespace holds nothing of a kind but what every namespace has.
func (p *Provider) isEmpty(ctx context.Context, kind schemaKind, namespace string) (bool, error) {
	empty := true
	_, err := p.client.List(ctx, cluster.ListOptions{Kind: kind, Namespace: namespace}, func(o *unstructured.Unstructured) error {
		if kind != kindConfigMap || o.GetName() != "kube-root-ca.crt" {
			empty = false
		}
		return nil
	})
	return empty, err
}

// object is one that says nothing but what it is.
func object(r cluster.Reference, labels map[string]string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(r.GroupVersionKind)
	o.SetNamespace(r.Namespace)
	o.SetName(r.Name)
	o.SetLabels(labels)
	return o
}
