package kubernetes

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

// rawParallelism bounds how many objects of one resource are applied at the same time.
const rawParallelism = 8

// applyRaw applies the objects of a resource of type Kubernetes, removes those that were
// of it and are not declared any more, and waits until all are ready.
func (p *Provider) applyRaw(ctx context.Context, d plan.Desired, secrets activities.Secrets, say activities.Progress) error {
	k, objects, err := p.rawObjects(ctx, d, secrets)
	if err != nil {
		return err
	}
	if err := p.requireVisible(ctx, d.Scope, objects); err != nil {
		return err
	}
	if err := p.requireNamespace(ctx, d.Scope, manifest.HomeNamespace(d.Scope), say); err != nil {
		return err
	}
	before, err := p.inventoryOf(ctx, d.Target)
	if err != nil {
		return err
	}
	references := make([]cluster.Reference, len(objects))
	for i, o := range objects {
		references[i] = cluster.ReferenceOf(o)
	}
	left := slices.DeleteFunc(slices.Clone(before.entries), func(r cluster.Reference) bool { return slices.Contains(references, r) })
	if err := p.writeInventory(ctx, d, before, union(references, left)); err != nil {
		return err
	}
	// What others need to be there first, one after the other, and the rest side by side.
	first := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return !comesFirst(o) })
	if first < 0 {
		first = len(objects)
	}
	for _, o := range objects[:first] {
		made, err := p.placeRaw(ctx, d, k, o, say)
		if err != nil {
			return err
		}
		if err := p.awaitRaw(ctx, d, made, secrets, say); err != nil {
			return err
		}
	}
	made := make([]*unstructured.Unstructured, len(objects))
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(rawParallelism)
	for i, o := range objects[first:] {
		group.Go(func() (err error) {
			made[first+i], err = p.placeRaw(groupContext, d, k, o, say)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := p.removeEntries(ctx, d.Target, left, say); err != nil {
		return err
	}
	for _, o := range made[first:] {
		if err := p.awaitRaw(ctx, d, o, secrets, say); err != nil {
			return err
		}
	}
	return p.writeInventory(ctx, d, before, references)
}

// requireVisible fails when objects of a kind could not be observed afterwards: they would
// keep the whole scope from being observed, also to remove them from it.
func (p *Provider) requireVisible(ctx context.Context, scope schemas.Scope, objects []*unstructured.Unstructured) error {
	seen := map[schemaKind]bool{}
	for _, o := range objects {
		kind := o.GroupVersionKind()
		if seen[kind] {
			continue
		}
		seen[kind] = true
		// A kind that the resource brings itself is not served yet.
		if _, _, err := p.client.Page(ctx, cluster.ListOptions{Kind: kind, Labels: selector(p.scopeLabels(scope))}, 1, ""); err != nil && !activities.IsKind(err, activities.Invalid) {
			return err
		}
	}
	return nil
}

// rawObjects are the objects that a resource declares, in the order in which they are
// applied.
func (p *Provider) rawObjects(ctx context.Context, d plan.Desired, secrets activities.Secrets) (schemas.Kubernetes, []*unstructured.Unstructured, error) {
	k, objects, err := manifest.Raw(d, secrets)
	if err != nil {
		return k, nil, err
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		return schemas.ObjectRank(a.GetKind()) - schemas.ObjectRank(b.GetKind())
	})
	// Kinds that the same resource brings are not known yet.
	brought := manifest.BroughtKinds(objects)
	for _, o := range objects {
		namespaced, known := brought[o.GroupVersionKind().GroupKind()]
		if !known {
			if namespaced, err = p.client.Namespaced(ctx, o.GroupVersionKind()); err != nil {
				return k, nil, err
			}
		}
		switch {
		case !namespaced:
			o.SetNamespace("")
		case o.GetNamespace() == "":
			o.SetNamespace(manifest.RawNamespace(d.Scope, k))
		}
	}
	return k, objects, nil
}

// comesFirst says that others cannot be made before an object is ready.
func comesFirst(o *unstructured.Unstructured) bool { return schemas.ObjectRank(o.GetKind()) == 0 }

// placeRaw applies one object, and returns it as it is then.
func (p *Provider) placeRaw(ctx context.Context, d plan.Desired, k schemas.Kubernetes, o *unstructured.Unstructured, say activities.Progress) (*unstructured.Unstructured, error) {
	found, err := p.find(ctx, cluster.ReferenceOf(o))
	if err != nil {
		return nil, err
	}
	if found != nil && !p.owns(d.Target, found) && !(k.Force && found.GetLabels()[manifest.LabelResource] == "") {
		return nil, foreign(d.Resource, found)
	}
	if found != nil && found.GetDeletionTimestamp() != nil {
		if err := p.awaitGone(ctx, cluster.ReferenceOf(o), say); err != nil {
			return nil, err
		}
		found = nil
	}
	return p.put(ctx, o, found, k.Force, say)
}

// awaitRaw waits until an object is ready, as its status says.
func (p *Provider) awaitRaw(ctx context.Context, d plan.Desired, o *unstructured.Unstructured, secrets activities.Secrets, say activities.Progress) error {
	if ready, _, _ := cluster.Status(o); ready && p.client.Unserved(ctx, o) == "" || o.GroupVersionKind() == kindClaim {
		return nil
	}
	return p.awaitReady(ctx, d, cluster.ReferenceOf(o), secrets, say)
}

// removeEntries removes objects of an inventory rank by rank, the last that were made
// first: what has a finalizer may need the controller that was made before it. What pods
// refer to goes side by side.
func (p *Provider) removeEntries(ctx context.Context, t plan.Target, entries []cluster.Reference, say activities.Progress) error {
	entries = slices.Clone(entries)
	slices.Reverse(entries)
	slices.SortStableFunc(entries, func(a, b cluster.Reference) int { return schemas.ObjectRank(b.Kind) - schemas.ObjectRank(a.Kind) })
	for len(entries) > 0 {
		rank := schemas.ObjectRank(entries[0].Kind)
		group, groupContext := errgroup.WithContext(ctx)
		group.SetLimit(1)
		if rank == 1 || rank == 2 {
			group.SetLimit(rawParallelism)
		}
		for len(entries) > 0 && schemas.ObjectRank(entries[0].Kind) == rank {
			r := entries[0]
			group.Go(func() error { return p.removeEntry(groupContext, t, r, say) })
			entries = entries[1:]
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// removeEntry removes an object that is still of the resource.
func (p *Provider) removeEntry(ctx context.Context, t plan.Target, r cluster.Reference, say activities.Progress) error {
	found, err := p.find(ctx, r)
	if activities.IsKind(err, activities.Invalid) {
		return nil // its kind is gone, and with that the object
	}
	if err != nil || found == nil || !p.owns(t, found) {
		return err
	}
	return p.remove(ctx, found, say)
}

// deleteRaw removes everything that the inventory of a resource names.
func (p *Provider) deleteRaw(ctx context.Context, t plan.Target, say activities.Progress) error {
	i, err := p.inventoryOf(ctx, t)
	if err != nil {
		return err
	}
	return p.removeEntries(ctx, t, i.entries, say)
}

// observeRaw finds the objects that inventories name, kind by kind.
func (p *Provider) observeRaw(ctx context.Context, scope schemas.Scope, found *observation) error {
	var kinds []schemaKind
	missing := map[cluster.Reference]*sighting{}
	for _, s := range found.byTarget {
		if s.observed.Type != schemas.TypeKubernetes {
			continue
		}
		for _, o := range s.objects {
			entries, err := entriesOf(o)
			if err != nil {
				s.troubles = append(s.troubles, err.Error())
			}
			for _, r := range entries {
				missing[r] = s
				if !slices.Contains(kinds, r.GroupVersionKind) {
					kinds = append(kinds, r.GroupVersionKind)
				}
			}
		}
	}
	for _, kind := range kinds {
		_, err := p.client.List(ctx, cluster.ListOptions{Kind: kind, Labels: selector(p.scopeLabels(scope))}, func(o *unstructured.Unstructured) error {
			s := missing[cluster.ReferenceOf(o)]
			if s == nil {
				return nil
			}
			delete(missing, cluster.ReferenceOf(o))
			return p.observeObject(ctx, s, o)
		})
		if err != nil && !activities.IsKind(err, activities.Invalid) {
			return err
		}
	}
	for r, s := range missing {
		s.troubles = append(s.troubles, named(object(r, nil))+" is missing")
	}
	return nil
}

// observeObject notes one object of a resource of type Kubernetes.
func (p *Provider) observeObject(ctx context.Context, s *sighting, o *unstructured.Unstructured) error {
	s.hashes = append(s.hashes, o.GetAnnotations()[manifest.AnnotationSpec])
	s.show(o)
	want, err := manifest.AppliedForm(o)
	if err != nil {
		s.troubles = append(s.troubles, fmt.Sprintf("the annotations of %s were changed: %s", named(o), err))
		return nil
	}
	changes, err := p.drift(ctx, o, want)
	if err != nil {
		return err
	}
	s.troubles = append(s.troubles, changes...)
	if ready, message, _ := cluster.Status(o); !ready && o.GroupVersionKind() != kindClaim {
		s.troubles = append(s.troubles, fmt.Sprintf("%s is not ready: %s", named(o), message))
	}
	return nil
}
