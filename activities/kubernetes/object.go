package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/schemas"
)

var _ activities.ObjectProvider = (*Provider)(nil)

// handManager is the field manager of what people change beside every Infrastructure, so
// that fields of resources are a conflict to it, and its own are one to them.
const handManager = "windlass-command"

// defaultNamespace is that of objects that should be in one and name none.
const defaultNamespace = "default"

// byHand is the client with which people change objects.
func (p *Provider) byHand(dryRun bool) *cluster.Client {
	return p.client.With(cluster.WriteOptions{Manager: handManager, DryRun: dryRun})
}

// GetObject implements activities.ObjectProvider.
func (p *Provider) GetObject(ctx context.Context, reference schemas.ObjectReference) (schemas.ObjectAnswer, error) {
	found, err := p.meant(ctx, reference)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	return p.answerOf(ctx, found, "")
}

// meant reads the object that a reference names.
func (p *Provider) meant(ctx context.Context, reference schemas.ObjectReference) (*unstructured.Unstructured, error) {
	kind, err := p.client.KindOf(ctx, reference.Kind)
	if err != nil {
		return nil, err
	}
	r := cluster.Reference{GroupVersionKind: kind, Namespace: reference.Namespace, Name: reference.Name}
	namespaced, err := p.client.Namespaced(ctx, kind)
	if err != nil {
		return nil, err
	}
	switch {
	case !namespaced:
		r.Namespace = ""
	case r.Namespace == "":
		r.Namespace = defaultNamespace
	}
	found, err := p.find(ctx, r)
	if err == nil && found == nil {
		err = &activities.Fault{Kind: activities.NotFound, Message: fmt.Sprintf("the cluster of provider %q has no %s", p.name, r), Hint: "see: windlass kubernetes list " + reference.Kind}
	}
	return found, err
}

// ListObjects implements activities.ObjectProvider.
func (p *Provider) ListObjects(ctx context.Context, request schemas.ObjectListRequest) (schemas.ObjectListAnswer, error) {
	kind, err := p.client.KindOf(ctx, request.Kind)
	if err != nil {
		return schemas.ObjectListAnswer{}, err
	}
	options := cluster.ListOptions{Kind: kind, Namespace: request.Namespace, Labels: request.Selector}
	found, next, err := p.client.Page(ctx, options, int64(request.Limit), request.Continue)
	if err != nil {
		return schemas.ObjectListAnswer{}, err
	}
	answer := schemas.ObjectListAnswer{Continue: next}
	for i := range found {
		o := &found[i]
		answer.Objects = append(answer.Objects, schemas.ObjectSummary{
			APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(),
			ObjectCondition: p.conditionOf(ctx, o), Created: o.GetCreationTimestamp().UTC(),
		})
	}
	return answer, nil
}

// CreateObject implements activities.ObjectProvider.
func (p *Provider) CreateObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	o, err := p.written(ctx, request)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	made, err := p.byHand(request.DryRun).Create(ctx, o)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	return p.answerOf(ctx, made, schemas.ObjectCreated)
}

// UpdateObject implements activities.ObjectProvider.
func (p *Provider) UpdateObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	o, err := p.written(ctx, request)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	found, err := p.client.Get(ctx, cluster.ReferenceOf(o))
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	if err := free(found, request.Force); err != nil {
		return schemas.ObjectAnswer{}, err
	}
	// Some kinds cannot be updated without saying which version is meant.
	if o.GetResourceVersion() == "" {
		o.SetResourceVersion(found.GetResourceVersion())
	}
	made, err := p.byHand(request.DryRun).Update(ctx, o)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	return p.answerOf(ctx, made, outcome(found, made))
}

// ApplyObject implements activities.ObjectProvider.
func (p *Provider) ApplyObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	o, err := p.written(ctx, request)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	found, err := p.find(ctx, cluster.ReferenceOf(o))
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	if found != nil {
		if err := free(found, request.Force); err != nil {
			return schemas.ObjectAnswer{}, err
		}
	}
	made, err := p.byHand(request.DryRun).Apply(ctx, o, cluster.ApplyOptions{Force: request.Force})
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	return p.answerOf(ctx, made, outcome(found, made))
}

// DeleteObject implements activities.ObjectProvider.
func (p *Provider) DeleteObject(ctx context.Context, request schemas.ObjectDeleteRequest) (schemas.ObjectAnswer, error) {
	found, err := p.meant(ctx, request.ObjectReference)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	if err := free(found, request.Force); err != nil {
		return schemas.ObjectAnswer{}, err
	}
	propagation, known := map[string]cluster.Propagation{
		"": cluster.Background, "background": cluster.Background, "foreground": cluster.Foreground, "orphan": cluster.Orphan,
	}[request.Cascade]
	if !known {
		return schemas.ObjectAnswer{}, &activities.Fault{Kind: activities.Invalid, Field: "cascade", Message: fmt.Sprintf("%q is not accepted", request.Cascade), Hint: "accepted are background, foreground and orphan"}
	}
	r := cluster.ReferenceOf(found)
	if err := p.byHand(request.DryRun).Delete(ctx, r, cluster.DeleteOptions{UID: found.GetUID(), Propagation: propagation}); err != nil {
		return schemas.ObjectAnswer{}, err
	}
	left, err := p.find(ctx, r)
	if err != nil {
		return schemas.ObjectAnswer{}, err
	}
	if left != nil && left.GetUID() == found.GetUID() && !request.DryRun {
		return p.answerOf(ctx, left, schemas.ObjectDeleting)
	}
	return p.answerOf(ctx, found, schemas.ObjectDeleted)
}

// written is the object of a request, in its namespace.
func (p *Provider) written(ctx context.Context, request schemas.ObjectWriteRequest) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(request.Object); err != nil {
		return nil, &activities.Fault{Kind: activities.Invalid, Field: "object", Message: err.Error(), Hint: "give one object of the Kubernetes API", Err: err}
	}
	if err := free(o, request.Force); err != nil {
		return nil, err
	}
	namespaced, err := p.client.Namespaced(ctx, o.GroupVersionKind())
	if activities.IsKind(err, activities.Invalid) {
		p.client.Rediscover() // people may use a kind that they installed a moment ago
		namespaced, err = p.client.Namespaced(ctx, o.GroupVersionKind())
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "" && request.Namespace != "":
		o.SetNamespace(request.Namespace)
	case o.GetNamespace() == "":
		o.SetNamespace(defaultNamespace)
	}
	// A server takes nobody's word for who owns what.
	o.SetManagedFields(nil)
	return o, nil
}

// free refuses an object that belongs to an Infrastructure, unless it is to be forced.
func free(o *unstructured.Unstructured, force bool) error {
	labels := o.GetLabels()
	if force || labels[manifest.LabelInfrastructure] == "" {
		return nil
	}
	owner := manifest.TargetOf(labels)
	words := owner.Scope.String()
	if owner.Resource != "" {
		words = fmt.Sprintf("resource %s of %s", owner.Resource, words)
	}
	return &activities.Fault{Kind: activities.Conflict, Message: fmt.Sprintf("%s belongs to %s", cluster.ReferenceOf(o), words),
		Hint: "change its document, or force it, which is found as drift"}
}

// outcome says what a write has made of what was found.
func outcome(found, made *unstructured.Unstructured) schemas.ObjectOutcome {
	switch {
	case found == nil:
		return schemas.ObjectCreated
	case equality.Semantic.DeepEqual(content(found), content(made)):
		return schemas.ObjectUnchanged
	}
	return schemas.ObjectUpdated
}

// content is what an object says, without what the server counts.
func content(o *unstructured.Unstructured) map[string]any {
	copied := o.DeepCopy()
	copied.SetManagedFields(nil)
	copied.SetResourceVersion("")
	copied.SetGeneration(0)
	return copied.Object
}

func (p *Provider) answerOf(ctx context.Context, o *unstructured.Unstructured, outcome schemas.ObjectOutcome) (schemas.ObjectAnswer, error) {
	text, err := json.Marshal(o.Object)
	if err != nil {
		return schemas.ObjectAnswer{}, fmt.Errorf("%s: %w", cluster.ReferenceOf(o), err)
	}
	return schemas.ObjectAnswer{Object: text, Outcome: outcome, ObjectCondition: p.conditionOf(ctx, o)}, nil
}

func (p *Provider) conditionOf(ctx context.Context, o *unstructured.Unstructured) schemas.ObjectCondition {
	ready, message, _ := cluster.Status(o)
	if ready {
		message = p.client.Unserved(ctx, o)
	}
	if message == "" {
		return schemas.ObjectCondition{Ready: ready}
	}
	if words := []rune(message); len(words) > schemas.MaxObjectWords {
		message = string(words[:schemas.MaxObjectWords-1]) + "…"
	}
	return schemas.ObjectCondition{Waits: message}
}
