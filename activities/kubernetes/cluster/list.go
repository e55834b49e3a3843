package cluster

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"windlass/activities"
)

// pageSize bounds the objects of one answer, and so the memory that a list takes.
const pageSize = 500

// ListOptions say which objects are meant.
type ListOptions struct {
	Kind schema.GroupVersionKind
	// Namespace is empty for all of them.
	Namespace string
	// Labels and Fields are selectors; empty selects all.
	Labels, Fields string
}

func (o ListOptions) doing(verb string) string { return verb + " objects of kind " + o.Kind.Kind }

// List visits every object that is meant, page by page, and returns the version of the
// collection that it saw. An object may be visited twice when the server has forgotten
// the version that the list began with.
func (c *Client) List(ctx context.Context, options ListOptions, visit func(*unstructured.Unstructured) error) (string, error) {
	api, err := c.resource(ctx, options.Kind, options.Namespace)
	if err != nil {
		return "", err
	}
	said := metav1.ListOptions{LabelSelector: options.Labels, FieldSelector: options.Fields, Limit: pageSize}
	for {
		page, err := c.page(ctx, options, api, said)
		if apierrors.IsResourceExpired(err) && said.Continue != "" {
			said.Continue = "" // from the beginning, in one consistent view again
			continue
		}
		if err != nil {
			return "", c.fault(ctx, options.doing("list"), err)
		}
		for i := range page.Items {
			// The items of some lists do not say what they are.
			page.Items[i].SetGroupVersionKind(options.Kind)
			if err := visit(&page.Items[i]); err != nil {
				return "", err
			}
		}
		if said.Continue = page.GetContinue(); said.Continue == "" {
			return page.GetResourceVersion(), nil
		}
	}
}

// Page reads at most that many of the objects that are meant, from where the page before
// ended, and returns where the next one begins; empty is nowhere. Where the server has
// forgotten the version that the first page was of, the next ones are of a newer one.
func (c *Client) Page(ctx context.Context, options ListOptions, most int64, from string) (objects []unstructured.Unstructured, next string, err error) {
	api, err := c.resource(ctx, options.Kind, options.Namespace)
	if err != nil {
		return nil, "", err
	}
	said := metav1.ListOptions{LabelSelector: options.Labels, FieldSelector: options.Fields, Limit: most, Continue: from}
	page, err := c.page(ctx, options, api, said)
	var status apierrors.APIStatus
	if apierrors.IsResourceExpired(err) && errors.As(err, &status) && status.Status().Continue != "" {
		said.Continue = status.Status().Continue
		page, err = c.page(ctx, options, api, said)
	}
	if err != nil {
		return nil, "", c.fault(ctx, options.doing("list"), err)
	}
	for i := range page.Items {
		page.Items[i].SetGroupVersionKind(options.Kind)
	}
	return page.Items, page.GetContinue(), nil
}

func (c *Client) page(ctx context.Context, options ListOptions, api dynamic.ResourceInterface, said metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	bounded, cancel, err := c.begin(ctx, options.doing("list"))
	if err != nil {
		return nil, err
	}
	defer cancel()
	return api.List(bounded, said)
}

// Event is what is told of an object: that it is as it is, or that it is gone. One
// without an object says that everything that is there was told of.
type Event struct {
	Object  *unstructured.Unstructured
	Deleted bool
}

// watchPause lies between two watches of which the server has ended the first, so that
// one that ends them at once is not asked without a rest.
const watchPause = time.Second

// Follow tells of every object that is meant, and then of each change, until the function
// says that it is done or fails. A connection that breaks is taken up where it broke; what
// the server has forgotten by then is told again as it is, and what is gone as gone.
// Errors that a retry may mend are waited out for as long as ctx lasts.
func (c *Client) Follow(ctx context.Context, options ListOptions, handle func(Event) (done bool, err error)) error {
	f := &following{client: c, options: options, handle: handle, known: map[Reference]*unstructured.Unstructured{}}
	return f.run(ctx)
}

func (f *following) run(ctx context.Context) error {
	for {
		err := f.once(ctx)
		switch {
		case f.done || f.err != nil:
			return f.err
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !retryable(err):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchPause):
		}
	}
}

// following is the state of one Follow.
type following struct {
	client  *Client
	options ListOptions
	handle  func(Event) (bool, error)
	// version is where to go on; empty begins with a list.
	version string
	// known are the objects that were told of, without what they say.
	known map[Reference]*unstructured.Unstructured
	done  bool
	err   error
}

// once follows until the connection ends.
func (f *following) once(ctx context.Context) error {
	if f.version == "" {
		if err := f.list(ctx); err != nil || f.done {
			return err
		}
	}
	api, err := f.client.resource(ctx, f.options.Kind, f.options.Namespace)
	if err != nil {
		return err
	}
	if err := f.client.turn(ctx, f.options.doing("watch")); err != nil {
		return err
	}
	stream, err := api.Watch(ctx, metav1.ListOptions{
		LabelSelector: f.options.Labels, FieldSelector: f.options.Fields, ResourceVersion: f.version, AllowWatchBookmarks: true,
	})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		f.version = ""
		return nil
	}
	if err != nil {
		return f.client.fault(ctx, f.options.doing("watch"), err)
	}
	defer stream.Stop()
	for !f.done {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-stream.ResultChan():
			if !open {
				f.client.connection.lose() // the server may have gone, and just be back
				return nil
			}
			if err := f.event(ctx, event); err != nil {
				return err
			}
		}
	}
	return nil
}

// list tells of everything that is there, and of what is gone since it was told of.
func (f *following) list(ctx context.Context) error {
	before := f.known
	f.known = map[Reference]*unstructured.Unstructured{}
	version, err := f.client.List(ctx, f.options, func(o *unstructured.Unstructured) error {
		f.tell(Event{Object: o})
		return f.err
	})
	if err != nil {
		for r, o := range before { // what was not seen again may still be there
			if f.known[r] == nil {
				f.known[r] = o
			}
		}
		return err
	}
	for r, o := range before {
		if f.known[r] == nil && !f.done {
			f.tell(Event{Object: o, Deleted: true})
		}
	}
	f.version = version
	f.tell(Event{})
	return f.err
}

func (f *following) event(ctx context.Context, event watch.Event) error {
	o, ok := event.Object.(*unstructured.Unstructured)
	if !ok || event.Type == watch.Error {
		err := apierrors.FromObject(event.Object)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			f.version = ""
			return nil
		}
		f.client.connection.lose() // what broke may be the connection
		return f.client.fault(ctx, f.options.doing("watch"), err)
	}
	f.version = o.GetResourceVersion()
	switch event.Type {
	case watch.Added, watch.Modified:
		f.tell(Event{Object: o})
	case watch.Deleted:
		f.tell(Event{Object: o, Deleted: true})
	}
	return f.err
}

func (f *following) tell(e Event) {
	if f.done {
		return
	}
	switch {
	case e.Object == nil:
	case e.Deleted:
		delete(f.known, ReferenceOf(e.Object))
	default:
		f.known[ReferenceOf(e.Object)] = remembered(e.Object)
	}
	f.done, f.err = f.handle(e)
	f.done = f.done || f.err != nil
}

// remembered is what is kept of an object, so that its end can be told.
func remembered(o *unstructured.Unstructured) *unstructured.Unstructured {
	kept := &unstructured.Unstructured{}
	kept.SetGroupVersionKind(o.GroupVersionKind())
	kept.SetNamespace(o.GetNamespace())
	kept.SetName(o.GetName())
	kept.SetUID(o.GetUID())
	return kept
}

// AwaitGone returns when an object is gone, or another one has its name. It tells of
// every change until then.
func (c *Client) AwaitGone(ctx context.Context, r Reference, tell func(*unstructured.Unstructured)) error {
	found, err := c.Get(ctx, r)
	if activities.IsKind(err, activities.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	options := ListOptions{Kind: r.GroupVersionKind, Namespace: r.Namespace, Fields: "metadata.name=" + r.Name}
	f := &following{client: c, options: options, known: map[Reference]*unstructured.Unstructured{r: remembered(found)}}
	f.handle = func(e Event) (bool, error) {
		switch {
		case e.Object == nil:
			return false, nil
		case e.Deleted || e.Object.GetUID() != found.GetUID():
			return true, nil
		}
		tell(e.Object)
		return false, nil
	}
	return f.run(ctx)
}
