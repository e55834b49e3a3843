package kubernetes

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

// Apply implements activities.Provider.
func (p *Provider) Apply(ctx context.Context, desired plan.Desired, secrets activities.Secrets, progress activities.Progress) (schemas.Outputs, error) {
	if err := p.mine(desired.Target); err != nil {
		return nil, err
	}
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, desired.Target, say)
	if err != nil {
		return nil, err
	}
	defer unlock()
	outputs, err := p.Outputs(desired)
	if err != nil {
		return nil, err
	}
	if desired.Type == schemas.TypeKubernetes {
		err = p.applyRaw(ctx, desired, secrets, say)
	} else {
		err = p.applyOwn(ctx, desired, secrets, say)
	}
	if err != nil {
		p.abandonHome(ctx, desired.Scope, err)
		return nil, err
	}
	return outputs, nil
}

// applyOwn applies a resource whose objects Windlass chooses.
func (p *Provider) applyOwn(ctx context.Context, desired plan.Desired, secrets activities.Secrets, say activities.Progress) error {
	objects, err := p.declare(ctx, desired, secrets, say, func(*unstructured.Unstructured) {})
	if err != nil {
		return err
	}
	if err := p.await(ctx, desired, objects, secrets, say); err != nil {
		return err
	}
	if desired.Type == schemas.TypeCompute {
		if err := p.endShares(ctx, desired.Target, say); err != nil {
			return err
		}
	}
	return p.prune(ctx, desired.Target, objects, say)
}

// declare applies every object of a resource and returns them, without waiting for what
// they bring about. Edit may change each before that.
func (p *Provider) declare(ctx context.Context, d plan.Desired, secrets activities.Secrets, say activities.Progress, edit func(*unstructured.Unstructured)) ([]*unstructured.Unstructured, error) {
	options, err := p.offered(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := manifest.Objects(d, options, secrets)
	if err != nil {
		return nil, err
	}
	if err := p.requireAdopted(ctx, d); err != nil {
		return nil, err
	}
	for _, o := range objects {
		edit(o)
		if err := p.place(ctx, d, o, say); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// place makes one object as it is declared.
func (p *Provider) place(ctx context.Context, d plan.Desired, o *unstructured.Unstructured, say activities.Progress) error {
	found, err := p.find(ctx, cluster.ReferenceOf(o))
	if err != nil {
		return err
	}
	if found != nil && !p.owns(d.Target, found) {
		return foreign(d.Resource, found)
	}
	if found != nil && found.GetDeletionTimestamp() != nil {
		if err := p.awaitGone(ctx, cluster.ReferenceOf(o), say); err != nil {
			return err
		}
		found = nil
	}
	if found == nil {
		if err := p.requireNamespace(ctx, d.Scope, o.GetNamespace(), say); err != nil {
			return err
		}
	} else if err := p.stopAutoscaler(ctx, d.Target, o, found, say); err != nil {
		return err
	} else if err := keepShare(o, found); err != nil {
		return err
	}
	_, err = p.put(ctx, o, found, false, say)
	if found != nil && unchangeable(err) {
		if err := p.recreate(ctx, found, say); err != nil {
			return err
		}
		_, err = p.put(ctx, o, nil, false, say)
	}
	return err
}

// put applies an object over what was found, which may be nothing. What somebody changed
// by hand is put back; what another field manager declares is a conflict, unless it is
// forced.
func (p *Provider) put(ctx context.Context, o, found *unstructured.Unstructured, force bool, say activities.Progress) (*unstructured.Unstructured, error) {
	say(fmt.Sprintf("applying %s %s", o.GetKind(), o.GetName()))
	if found != nil {
		if err := p.keepReplicas(ctx, o, found); err != nil {
			return nil, err
		}
	}
	made, err := p.client.Apply(ctx, o, cluster.ApplyOptions{Force: force})
	if found != nil && activities.IsKind(err, activities.Conflict) && takenByHand(found) {
		made, err = p.client.Apply(ctx, o, cluster.ApplyOptions{Force: true})
	}
	if err == nil && found == nil {
		p.logger.Info("made", "kind", o.GetKind(), "namespace", o.GetNamespace(), "name", o.GetName())
	}
	return made, err
}

// find reads an object; nil is one that is not there.
func (p *Provider) find(ctx context.Context, r cluster.Reference) (*unstructured.Unstructured, error) {
	found, err := p.client.Get(ctx, r)
	if activities.IsKind(err, activities.NotFound) {
		return nil, nil
	}
	return found, err
}

// unchangeable says that the server keeps a field as it was made.
func unchangeable(err error) bool {
	return activities.IsKind(err, activities.Invalid) && cluster.IsImmutable(err)
}

// recreate removes an object of which a field that cannot be changed has to. What it
// holds of a user's data never goes this way: a plan says replace, and shows it.
func (p *Provider) recreate(ctx context.Context, o *unstructured.Unstructured, say activities.Progress) error {
	say(fmt.Sprintf("making %s %s anew", o.GetKind(), o.GetName()))
	return p.remove(ctx, o, say)
}
