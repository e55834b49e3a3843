package docker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
)

// listed is a container as the engine lists it.
type listed struct{ container.Summary }

// name is the container's name; the engine lists it with a slash before it.
func (l listed) name() string {
	if len(l.Names) == 0 {
		return l.ID
	}
	return strings.TrimPrefix(l.Names[0], "/")
}

func (l listed) index() int { return replicaIndex(l.Labels) }

// step is the name of the init step that the container runs, empty for a replica.
func (l listed) step() string { return l.Labels[activities.LabelStep] }

func (l listed) running() bool {
	return l.State == container.StateRunning || l.State == container.StatePaused || l.State == container.StateRestarting
}

// listContainers finds the containers with these labels, running or not, ordered
// by index and name.
func (p *Provider) listContainers(ctx context.Context, resource string, labels map[string]string) ([]listed, error) {
	list, err := read(ctx, func(ctx context.Context) (client.ContainerListResult, error) {
		return p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelFilter(labels)})
	})
	if err != nil {
		return nil, engineFault(ctx, resource, "list the containers", err)
	}
	var containers []listed
	for _, item := range list.Items {
		if carries(item.Labels, labels) {
			containers = append(containers, listed{item})
		}
	}
	slices.SortFunc(containers, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.index(), b.index()), strings.Compare(a.name(), b.name()))
	})
	return containers, nil
}

// inspect returns the container, or nil when there is none of that name or id.
func (p *Provider) inspect(ctx context.Context, resource, nameOrID string) (*container.InspectResponse, error) {
	found, err := read(ctx, func(ctx context.Context) (client.ContainerInspectResult, error) {
		return p.engine.ContainerInspect(ctx, nameOrID, client.ContainerInspectOptions{})
	})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, engineFault(ctx, resource, "inspect container "+nameOrID, err)
	}
	return &found.Container, nil
}

// stop ends a container as its own stop signal and grace period say. One that
// does not run, or is gone, is no error.
func (p *Provider) stop(ctx context.Context, resource string, c listed, say activities.Progress) error {
	say("stopping container " + c.name())
	// No bound but ctx: the call lasts as long as the container's grace period.
	_, err := p.engine.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsNotModified(err) {
		return engineFault(ctx, resource, "stop container "+c.name(), err)
	}
	return nil
}

// remove stops a container and removes it with its anonymous volumes. It returns
// when the container is gone, also when someone else is removing it.
func (p *Provider) remove(ctx context.Context, t plan.Target, c listed, say activities.Progress) error {
	if c.running() {
		if err := p.stop(ctx, t.Resource, c, say); err != nil {
			return err
		}
	}
	say("removing container " + c.name())
	p.given.forget(c.ID)
	for {
		_, err := settle(ctx, func(ctx context.Context) (client.ContainerRemoveResult, error) {
			return p.engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		})
		switch {
		case err == nil:
			p.logger.Info("removed container", "container", c.name())
			return nil
		case errdefs.IsNotFound(err):
			return nil
		case !errdefs.IsConflict(err):
			return engineFault(ctx, t.Resource, "remove container "+c.name(), err)
		}
		say("waiting until container " + c.name() + " is removed")
		if err := pause(ctx, releaseInterval, t.Resource); err != nil {
			return err
		}
	}
}
