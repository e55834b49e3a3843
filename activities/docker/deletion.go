package docker

import (
	"context"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// deletionParallelism bounds how many containers are stopped at the same time;
// nearly all of that time is spent in their grace periods.
const deletionParallelism = 16

// Delete implements activities.Provider. It removes whatever carries the labels
// of the resource, except retained volumes: containers first, then volumes and
// networks.
func (p *Provider) Delete(ctx context.Context, target plan.Target, progress activities.Progress) error {
	if err := p.mine(target); err != nil {
		return err
	}
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, target, say)
	if err != nil {
		return err
	}
	defer unlock()

	labels := activities.IdentityLabels(target)
	containers, err := p.listContainers(ctx, target.Resource, labels)
	if err != nil {
		return err
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(deletionParallelism)
	for _, c := range containers {
		group.Go(func() error { return p.remove(groupContext, target, c, say) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if target.Type == schemas.TypeSecurityGroup {
		return p.deleteSecurityGroup(ctx, target, say)
	}
	// An address that is free again must not be allowed, or closed, for what gets it next.
	if err := p.guard(ctx, target.Resource, false); err != nil {
		return err
	}

	volumes, err := read(ctx, func(ctx context.Context) (client.VolumeListResult, error) {
		return p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: labelFilter(labels)})
	})
	if err != nil {
		return engineFault(ctx, target.Resource, "list the volumes", err)
	}
	for _, v := range volumes.Items {
		if !carries(v.Labels, labels) || retentionOf(v.Labels) == schemas.RetentionRetain {
			continue
		}
		say("removing volume " + v.Name)
		if err := p.removeVolume(ctx, target, v.Name, say); err != nil {
			return err
		}
	}

	networks, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: labelFilter(labels)})
	})
	if err != nil {
		return engineFault(ctx, target.Resource, "list the networks", err)
	}
	for _, n := range networks.Items {
		if !carries(n.Labels, labels) {
			continue
		}
		say("removing network " + n.Name)
		if err := p.removeNetwork(ctx, target, n.Network, say); err != nil {
			return err
		}
	}
	return nil
}
