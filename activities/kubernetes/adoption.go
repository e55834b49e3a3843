package kubernetes

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

// Adopts implements activities.Provider.
func (p *Provider) Adopts(ctx context.Context, declared plan.Desired) (string, error) {
	if err := p.permitShares(declared); err != nil {
		return "", err
	}
	o, err := p.adopted(ctx, declared)
	if o == nil || err != nil {
		return "", err
	}
	return named(o), nil
}

// requireAdopted fails when what is to be taken over is not there any more.
func (p *Provider) requireAdopted(ctx context.Context, d plan.Desired) error {
	_, err := p.adopted(ctx, d)
	return err
}

// adopted reads what a resource takes over; nil is nothing.
func (p *Provider) adopted(ctx context.Context, d plan.Desired) (*unstructured.Unstructured, error) {
	reference, err := manifest.Adopted(d)
	if err != nil || reference.Name == "" {
		return nil, err
	}
	o, err := p.find(ctx, cluster.Reference{GroupVersionKind: schemaKind{Version: "v1", Kind: reference.Kind}, Namespace: reference.Namespace, Name: reference.Name})
	if err != nil {
		return nil, err
	}
	switch {
	case o == nil:
		return nil, &activities.Fault{Kind: activities.NotFound, Resource: d.Resource, Field: "properties.adopt",
			Message: fmt.Sprintf("there is no %s %q to take over", reference.Kind, reference.Name), Hint: "make it, or leave adopt out"}
	case o.GetLabels()[manifest.LabelResource] != "":
		return nil, &activities.Fault{Kind: activities.Conflict, Resource: d.Resource, Field: "properties.adopt",
			Message: fmt.Sprintf("%s belongs to %s of %s already", named(o), o.GetLabels()[manifest.LabelResource], manifest.TargetOf(o.GetLabels()).Scope)}
	}
	return o, nil
}
