package docker

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/schemas/traffic"
)

// The subsets that share the requests during a canary.
const (
	newVersion = "new"
	oldVersion = "old"
)

// edit changes what all proxies pass requests to.
func (b *balancer) edit(ctx context.Context, say activities.Progress, change func(routing) routing) error {
	unlock, err := b.provider.locks.Lock(ctx, b.target, say)
	if err != nil {
		return err
	}
	defer unlock()
	return b.configure(ctx, nil, func(current traffic.Configuration) (traffic.Configuration, error) {
		declared, err := declaredIn(current)
		if err != nil {
			return current, nil // it has no configuration yet: its own creation gives it one
		}
		next := change(routingOf(current))
		next.endpoints = ordered(next.endpoints)
		return trafficConfiguration(declared, current.Labels, next), nil
	})
}

// join has the proxies pass requests to a replica.
func (b *balancer) join(ctx context.Context, name string, say activities.Progress) error {
	return b.edit(ctx, say, func(r routing) routing { return r.with(name) })
}

// leave has the proxies pass no more requests to a replica, and waits until it has
// none in flight, at most for the drain timeout.
func (b *balancer) leave(ctx context.Context, name string, say activities.Progress) error {
	if err := b.edit(ctx, say, func(r routing) routing { return r.without(name) }); err != nil {
		return err
	}
	return b.drain(ctx, name)
}

// with has a replica get new requests.
func (r routing) with(name string) routing {
	r.endpoints = slices.DeleteFunc(r.endpoints, func(e traffic.Endpoint) bool { return e.ID == name })
	r.endpoints = append(r.endpoints, traffic.Endpoint{ID: name})
	return r
}

// without has a replica, if it is known, get no new requests.
func (r routing) without(name string) routing {
	for i := range r.endpoints {
		if r.endpoints[i].ID == name {
			r.endpoints[i].Draining = true
		}
	}
	return r
}

// shared has the replicas whose names end so get that share of the requests in
// percent; nil has all share alike.
func (r routing) shared(suffix string, weight *int) routing {
	r.subsets = nil
	if weight != nil {
		r.subsets = []traffic.Subset{{Name: newVersion, Weight: *weight}, {Name: oldVersion, Weight: 100 - *weight}}
	}
	for i := range r.endpoints {
		e := &r.endpoints[i]
		switch {
		case weight == nil:
			e.Subset = ""
		case strings.HasSuffix(e.ID, suffix):
			e.Subset = newVersion
		default:
			e.Subset = oldVersion
		}
	}
	return r
}

// drain waits until a replica that was taken out has no request in flight, at most
// for the drain timeout.
func (b *balancer) drain(ctx context.Context, name string) error {
	all, sure, err := b.remembered(ctx)
	if err == nil && !sure && slices.ContainsFunc(all, func(x instance) bool { return x.current == nil || !routingOf(*x.current).drains(name) }) {
		all, err = b.instances(ctx)
	}
	if err != nil {
		return err
	}
	group, groupContext := errgroup.WithContext(ctx)
	for _, x := range all {
		if !x.running() || x.current == nil {
			continue
		}
		for _, s := range x.current.Services {
			if !slices.ContainsFunc(s.Endpoints, func(e traffic.Endpoint) bool { return e.ID == name && e.Draining }) {
				continue
			}
			patience := defaultDrainTimeout
			if s.Policy.DrainTimeout != nil {
				patience = time.Duration(*s.Policy.DrainTimeout)
			}
			group.Go(func() error { return x.drained(groupContext, s.Name, name, patience) })
		}
	}
	return group.Wait()
}

// settle leaves exactly these replicas, which share alike.
func (b *balancer) settle(ctx context.Context, names []string, say activities.Progress) error {
	return b.edit(ctx, say, func(r routing) routing {
		kept := routing{endpoints: make([]traffic.Endpoint, 0, len(names))}
		for _, name := range names {
			e := traffic.Endpoint{ID: name}
			if known := slices.IndexFunc(r.endpoints, func(k traffic.Endpoint) bool { return k.ID == name }); known >= 0 {
				e.Weight = r.endpoints[known].Weight
			}
			kept.endpoints = append(kept.endpoints, e)
		}
		return kept
	})
}
