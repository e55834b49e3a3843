package docker

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/schemas/traffic"
)

// edit changes the endpoints of all proxies.
func (b *balancer) edit(ctx context.Context, say activities.Progress, change func([]traffic.Endpoint) []traffic.Endpoint) error {
	unlock, err := b.provider.locks.lock(ctx, b.target, say)
	if err != nil {
		return err
	}
	defer unlock()
	return b.configure(ctx, nil, func(current traffic.Configuration) (traffic.Configuration, error) {
		declared, err := declaredIn(current)
		if err != nil {
			return current, nil // it has no configuration yet: its own creation gives it one
		}
		return trafficConfiguration(declared, current.Labels, ordered(change(slices.Clone(endpointsOf(current))))), nil
	})
}

// join has the proxies pass requests to a replica.
func (b *balancer) join(ctx context.Context, name string, say activities.Progress) error {
	return b.edit(ctx, say, func(endpoints []traffic.Endpoint) []traffic.Endpoint {
		endpoints = slices.DeleteFunc(endpoints, func(e traffic.Endpoint) bool { return e.ID == name })
		return append(endpoints, traffic.Endpoint{ID: name})
	})
}

// leave has the proxies pass no more requests to a replica, and waits until it has
// none in flight, at most for the drain timeout.
func (b *balancer) leave(ctx context.Context, name string, say activities.Progress) error {
	known := false
	err := b.edit(ctx, say, func(endpoints []traffic.Endpoint) []traffic.Endpoint {
		for i := range endpoints {
			if endpoints[i].ID == name {
				endpoints[i].Draining, known = true, true
			}
		}
		return endpoints
	})
	if err != nil || !known {
		return err
	}
	all, err := b.instances(ctx)
	if err != nil {
		return err
	}
	group, groupContext := errgroup.WithContext(ctx)
	for _, x := range all {
		if !x.running() || x.current == nil {
			continue
		}
		for _, s := range x.current.Services {
			patience := defaultDrainTimeout
			if s.Policy.DrainTimeout != nil {
				patience = time.Duration(*s.Policy.DrainTimeout)
			}
			group.Go(func() error { return x.drained(groupContext, s.Name, name, patience) })
		}
	}
	return group.Wait()
}

// settle leaves exactly these replicas.
func (b *balancer) settle(ctx context.Context, names []string, say activities.Progress) error {
	return b.edit(ctx, say, func(endpoints []traffic.Endpoint) []traffic.Endpoint {
		kept := make([]traffic.Endpoint, 0, len(names))
		for _, name := range names {
			e := traffic.Endpoint{ID: name}
			if known := slices.IndexFunc(endpoints, func(k traffic.Endpoint) bool { return k.ID == name }); known >= 0 {
				e.Weight, e.Subset = endpoints[known].Weight, endpoints[known].Subset
			}
			kept = append(kept, e)
		}
		return kept
	})
}
