package cluster

import (
	"cmp"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"windlass/activities"
)

// Reference names one object. Namespace is empty for objects that are in none.
type Reference struct {
	schema.GroupVersionKind
	Namespace, Name string
}

// ReferenceOf names an object.
func ReferenceOf(o *unstructured.Unstructured) Reference {
	return Reference{GroupVersionKind: o.GroupVersionKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String is such as `Deployment "web" of namespace "shop"`.
func (r Reference) String() string {
	if r.Namespace == "" {
		return fmt.Sprintf("%s %q", r.Kind, r.Name)
	}
	return fmt.Sprintf("%s %q of namespace %q", r.Kind, r.Name, r.Namespace)
}

// Get reads an object; one that is not there is a *Fault of kind NotFound.
func (c *Client) Get(ctx context.Context, r Reference) (*unstructured.Unstructured, error) {
	return c.one(ctx, "read", r, func(ctx context.Context, api dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
		return api.Get(ctx, r.Name, metav1.GetOptions{})
	})
}

// Create makes an object; one that is there is a *Fault of kind Conflict.
func (c *Client) Create(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return c.one(ctx, "create", ReferenceOf(o), func(ctx context.Context, api dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
		return api.Create(ctx, o, metav1.CreateOptions{FieldManager: c.manager(), DryRun: c.dryRun()})
	})
}

// Update replaces an object. Its resource version, if it has one, says which it was made
// from: when another is there, that is a *Fault of kind Conflict.
func (c *Client) Update(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return c.one(ctx, "update", ReferenceOf(o), func(ctx context.Context, api dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
		return api.Update(ctx, o, metav1.UpdateOptions{FieldManager: c.manager(), DryRun: c.dryRun()})
	})
}

// WriteOptions are those of whatever a client writes.
type WriteOptions struct {
	// Manager is the field manager; the default is FieldManager.
	Manager string
	// DryRun has the server say what it would do, and change nothing.
	DryRun bool
}

// With is a client of the same server whose writes have these options.
func (c *Client) With(options WriteOptions) *Client {
	return &Client{name: c.name, connection: c.connection, objects: c.objects, core: c.core, catalogues: c.catalogues, limiter: c.limiter, writes: options}
}

func (c *Client) manager() string { return cmp.Or(c.writes.Manager, FieldManager) }

// dryRun is what the server is told of it.
func (c *Client) dryRun() []string {
	if c.writes.DryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// ApplyOptions are those of Apply.
type ApplyOptions struct {
	// Force takes over fields that another field manager owns.
	Force bool
	// DryRun has the server say what it would make, and change nothing.
	DryRun bool
}

// Apply makes an object by server-side apply: its fields become what is said, fields that
// were said before and are not any more are removed, and others stay what they are. Fields
// that another manager owns are a *Fault of kind Conflict unless they are forced.
func (c *Client) Apply(ctx context.Context, o *unstructured.Unstructured, options ApplyOptions) (*unstructured.Unstructured, error) {
	said := metav1.ApplyOptions{FieldManager: c.manager(), Force: options.Force, DryRun: c.dryRun()}
	if options.DryRun {
		said.DryRun = []string{metav1.DryRunAll}
	}
	return c.one(ctx, "apply", ReferenceOf(o), func(ctx context.Context, api dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
		return api.Apply(ctx, o.GetName(), o, said)
	})
}

// one makes a request about one object.
func (c *Client) one(ctx context.Context, doing string, r Reference, request func(context.Context, dynamic.ResourceInterface) (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	api, err := c.resource(ctx, r.GroupVersionKind, r.Namespace)
	if err != nil {
		return nil, err
	}
	doing += " " + r.String()
	bounded, cancel, err := c.begin(ctx, doing)
	if err != nil {
		return nil, err
	}
	defer cancel()
	o, err := request(bounded, api)
	if err != nil {
		return nil, c.fault(ctx, doing, err)
	}
	return o, nil
}

// Propagation says what becomes of what an object has made when it is deleted.
type Propagation string

// The propagations.
const (
	// Background has it removed after the object is gone.
	Background Propagation = "Background"
	// Foreground keeps the object until it is removed.
	Foreground Propagation = "Foreground"
	// Orphan leaves it.
	Orphan Propagation = "Orphan"
)

// DeleteOptions are those of Delete.
type DeleteOptions struct {
	// Propagation is Background by default.
	Propagation Propagation
	// UID and ResourceVersion, where they are given, are those that the object must have:
	// when it has others, that is a *Fault of kind Conflict.
	UID             types.UID
	ResourceVersion string
}

// Delete asks for an object to be removed, and does not wait. One that is gone is no error.
func (c *Client) Delete(ctx context.Context, r Reference, options DeleteOptions) error {
	propagation := metav1.DeletionPropagation(options.Propagation)
	if propagation == "" {
		propagation = metav1.DeletePropagationBackground
	}
	said := metav1.DeleteOptions{PropagationPolicy: &propagation, DryRun: c.dryRun()}
	if options.UID != "" || options.ResourceVersion != "" {
		said.Preconditions = &metav1.Preconditions{}
	}
	if options.UID != "" {
		said.Preconditions.UID = &options.UID
	}
	if options.ResourceVersion != "" {
		said.Preconditions.ResourceVersion = &options.ResourceVersion
	}
	_, err := c.one(ctx, "delete", r, func(ctx context.Context, api dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
		return nil, api.Delete(ctx, r.Name, said)
	})
	if activities.IsKind(err, activities.NotFound) {
		return nil
	}
	return err
}
