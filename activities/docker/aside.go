package docker

import (
	"context"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// asideSuffix ends the name of a replica that failed and is kept to be looked at. An
// engine does not change the labels of a container, but its name.
const asideSuffix = ".failed"

// separateAside tells containers that were set aside from others.
func separateAside(containers []listed) (aside, others []listed) {
	for _, c := range containers {
		if strings.HasSuffix(c.name(), asideSuffix) {
			aside = append(aside, c)
		} else {
			others = append(others, c)
		}
	}
	return aside, others
}

// SetAsideReplica implements activities.ReplicaProvider. The container does not start
// again by itself, and what an earlier one left under the name makes room.
func (p *Provider) SetAsideReplica(ctx context.Context, declared plan.Desired, index int, secrets activities.Secrets, progress activities.Progress) (*schemas.Evidence, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return nil, err
	}
	name := w.containerName(index)
	c, err := p.ownReplica(ctx, declared.Target, name)
	if err != nil {
		return nil, err
	}
	former, err := p.ownReplica(ctx, declared.Target, name+asideSuffix)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return p.asideEvidence(ctx, w, former, secrets)
	}
	if former != nil {
		if err := p.remove(ctx, declared.Target, *former, say); err != nil {
			return nil, err
		}
	}
	found, err := p.asideEvidence(ctx, w, c, secrets)
	if err != nil {
		return nil, err
	}
	say("setting " + name + " aside")
	return found, p.setAside(ctx, declared.Target, *c, say)
}

// setAside ends a container for good and renames it.
func (p *Provider) setAside(ctx context.Context, target plan.Target, c listed, say activities.Progress) error {
	never := container.RestartPolicy{Name: container.RestartPolicyDisabled}
	_, err := settle(ctx, func(ctx context.Context) (client.ContainerUpdateResult, error) {
		return p.engine.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{RestartPolicy: &never})
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return engineFault(ctx, target.Resource, "keep "+c.name()+" from starting again", err)
	}
	if err := p.stop(ctx, target.Resource, c, say); err != nil {
		return err
	}
	_, err = settle(ctx, func(ctx context.Context) (client.ContainerRenameResult, error) {
		return p.engine.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: c.name() + asideSuffix})
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return engineFault(ctx, target.Resource, "rename "+c.name(), err)
	}
	return nil
}

// asideEvidence is what is found at a container; nil when there is none.
func (p *Provider) asideEvidence(ctx context.Context, w *workload, c *listed, secrets activities.Secrets) (*schemas.Evidence, error) {
	if c == nil {
		return nil, nil
	}
	full, err := p.inspect(ctx, w.desired.Resource, c.ID)
	if err != nil || full == nil {
		return nil, err
	}
	detail := ""
	if w.newProbe != nil && full.State.Running {
		_, detail = w.newProbe().look(ctx, full, address(full, w.networks))
	}
	return p.evidence(ctx, full, w, secrets, detail), nil
}
