package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"

	"windlass/activities"
)

// catalogueAge is for how long a kind that the server did not have is taken not to be there.
const catalogueAge = 10 * time.Second

// catalogue is what a server said of the kinds that it serves.
type catalogue struct {
	meta.RESTMapperWithContext
	// words also knows kinds by the short names that the server has for them.
	words meta.RESTMapperWithContext
	// silent are the groups of which the server knows and could not say what they have.
	silent []string
	// unready is why the server said, before it was asked, that it had not started yet. One
	// that starts does not know yet all that it serves.
	unready error
	asked   time.Time
}

// doubt is why a kind of one of the groups may be served although it is not in the
// catalogue; nil where it is not.
func (c *catalogue) doubt(groups ...string) error {
	if c.unready != nil {
		return c.unready
	}
	for _, group := range groups {
		if slices.Contains(c.silent, group) {
			return &activities.Fault{Kind: activities.Unavailable, Message: fmt.Sprintf("what serves the API group %s does not answer", group),
				Hint: "see which APIService of the group is not available, and why"}
		}
	}
	return nil
}

// catalogues asks a server for its kinds, once for all who want to know at a time, and
// keeps the answer.
type catalogues struct {
	server *discovery.DiscoveryClient
	flight singleflight.Group

	mutex sync.Mutex
	kept  *catalogue
	// since is when an answer must have been asked for, so that it is kept.
	since time.Time
}

// get returns what the server said last, and asks it where it was not asked.
func (c *catalogues) get(ctx context.Context) (*catalogue, error) {
	c.mutex.Lock()
	kept := c.kept
	c.mutex.Unlock()
	if kept != nil {
		return kept, nil
	}
	return c.ask(ctx)
}

// renewed is one that was not asked for before a moment.
func (c *catalogues) renewed(ctx context.Context, since time.Time) (*catalogue, error) {
	c.mutex.Lock()
	if c.kept != nil && c.kept.asked.Before(since) {
		c.forget()
	}
	c.mutex.Unlock()
	return c.get(ctx)
}

// reset has the server asked anew.
func (c *catalogues) reset() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.forget()
}

const flightKey = "kinds"

// forget wants the mutex held.
func (c *catalogues) forget() {
	c.kept, c.since = nil, time.Now()
	c.flight.Forget(flightKey)
}

// ask takes part in asking the server. Whoever waits for the answer leaves when ctx ends,
// and leaves it to the others.
func (c *catalogues) ask(ctx context.Context) (*catalogue, error) {
	answer := c.flight.DoChan(flightKey, func() (any, error) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		read, err := c.read(bounded)
		if err != nil {
			return nil, err
		}
		c.mutex.Lock()
		defer c.mutex.Unlock()
		if !read.asked.Before(c.since) {
			c.kept = read
		}
		return read, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case given := <-answer:
		if given.Err != nil {
			return nil, given.Err
		}
		return given.Val.(*catalogue), nil
	}
}

func (c *catalogues) read(ctx context.Context) (*catalogue, error) {
	read := &catalogue{asked: time.Now(), unready: c.unready(ctx)}
	groups, lists, err := c.server.ServerGroupsAndResourcesWithContext(ctx)
	var silent *discovery.ErrGroupDiscoveryFailed
	switch {
	case errors.As(err, &silent):
		for version := range maps.Keys(silent.Groups) {
			read.silent = append(read.silent, version.Group)
		}
		slices.Sort(read.silent)
		read.silent = slices.Compact(read.silent)
	case err != nil:
		return nil, err
	}
	said := answered{DiscoveryInterfaceWithContext: discovery.ToDiscoveryInterfaceWithContext(c.server), groups: groups, lists: inOrder(groups, lists)}
	resources, err := restmapper.GetAPIGroupResourcesWithContext(ctx, said)
	if err != nil {
		return nil, err
	}
	read.RESTMapperWithContext = restmapper.NewDiscoveryRESTMapperWithContext(resources)
	read.words = restmapper.NewShortcutExpanderWithContext(read.RESTMapperWithContext, said, nil)
	return read, nil
}

// unready is why a server says that it has not started yet. One that does not say, or not
// to everybody, counts as ready.
func (c *catalogues) unready(ctx context.Context) error {
	err := c.server.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the API server is not ready: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

// answered answers what a server has said already.
type answered struct {
	discovery.DiscoveryInterfaceWithContext
	groups []*metav1.APIGroup
	lists  []*metav1.APIResourceList
}

// ServerGroupsAndResourcesWithContext implements discovery.ServerResourcesInterfaceWithContext.
func (a answered) ServerGroupsAndResourcesWithContext(context.Context) ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	return a.groups, a.lists, nil
}

// inOrder are the lists in the server's order of groups and versions, which says whose a
// short name is that several have.
func inOrder(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) []*metav1.APIResourceList {
	place := map[string]int{}
	for _, group := range groups {
		for _, version := range group.Versions {
			place[version.GroupVersion] = len(place)
		}
	}
	return slices.SortedFunc(slices.Values(lists), func(a, b *metav1.APIResourceList) int {
		return place[a.GroupVersion] - place[b.GroupVersion]
	})
}

// find looks for something of one of the groups. What is not in the catalogue may have
// been installed since, and is looked for in one that is not older than catalogueAge. An
// error by which nothing matches is sure: the server does not have it.
func find[T any](ctx context.Context, c *catalogues, look func(*catalogue) (T, error), groups ...string) (T, error) {
	var none T
	known, err := c.get(ctx)
	if err != nil {
		return none, err
	}
	found, err := look(known)
	if !meta.IsNoMatchError(err) {
		return found, err
	}
	since := time.Now().Add(-catalogueAge)
	if known.doubt(groups...) != nil {
		since = time.Now()
	}
	if known, err = c.renewed(ctx, since); err != nil {
		return none, err
	}
	found, err = look(known)
	if doubt := known.doubt(groups...); doubt != nil && meta.IsNoMatchError(err) {
		return none, doubt
	}
	return found, err
}
