package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
)

// releasePatience is how long an object may still be held by containers that are
// gone or going: the engine gives up endpoints and volumes a moment after the
// container.
const (
	releasePatience = 10 * time.Second
	releaseInterval = 100 * time.Millisecond
)

type networkUser struct {
	id, name string
	// own says that the container belongs to the same scope.
	own bool
}

// networkUsers are the containers with an endpoint on the network, by name.
func (p *Provider) networkUsers(ctx context.Context, t plan.Target, id string) ([]networkUser, error) {
	found, err := read(ctx, func(ctx context.Context) (client.NetworkInspectResult, error) {
		return p.engine.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, engineFault(ctx, t.Resource, "inspect the network", err)
	}
	own, err := p.listContainers(ctx, t.Resource, p.scopeLabels(t.Scope))
	if err != nil {
		return nil, err
	}
	var users []networkUser
	for containerID, endpoint := range found.Network.Containers {
		users = append(users, networkUser{
			id: containerID, name: endpoint.Name,
			own: slices.ContainsFunc(own, func(c listed) bool { return c.ID == containerID }),
		})
	}
	slices.SortFunc(users, func(a, b networkUser) int { return strings.Compare(a.name, b.name) })
	return users, nil
}

// removeNetwork removes a network that is the target's. It asks who is on it
// first, and does not rely on the engine to refuse when someone is.
func (p *Provider) removeNetwork(ctx context.Context, t plan.Target, n network.Network, say activities.Progress) error {
	deadline := time.Now().Add(releasePatience)
	for {
		users, err := p.networkUsers(ctx, t, n.ID)
		if err != nil {
			return err
		}
		if others := strangers(users); len(others) > 0 {
			return networkInUse(t, others)
		}
		_, err = settle(ctx, func(ctx context.Context) (client.NetworkRemoveResult, error) {
			return p.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		})
		switch {
		case err == nil:
			p.logger.Info("removed network", "network", n.Name)
			return nil
		case errdefs.IsNotFound(err):
			return nil
		case !containsAny(err.Error(), "active endpoints", "in use", "being used"):
			return engineFault(ctx, t.Resource, "remove the network", err)
		case time.Now().After(deadline) && len(users) > 0:
			return networkInUse(t, []string{users[0].name})
		case time.Now().After(deadline):
			return engineFault(ctx, t.Resource, "remove the network", err)
		}
		say("waiting until network " + n.Name + " is free")
		if err := pause(ctx, releaseInterval, t.Resource); err != nil {
			return err
		}
	}
}

// strangers names the users that do not belong to the scope.
func strangers(users []networkUser) []string {
	var names []string
	for _, user := range users {
		if !user.own {
			names = append(names, user.name)
		}
	}
	return names
}

func networkInUse(t plan.Target, by []string) error {
	return &activities.Fault{Kind: activities.Conflict, Resource: t.Resource,
		Message: fmt.Sprintf("network %q is in use by %s", objectName(t), strings.Join(by, ", ")),
		Hint:    "stop these containers or disconnect them from the network"}
}
