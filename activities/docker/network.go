package docker

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// ReplaceOn implements activities.Provider: the engine cannot change a network. The
// containers of the other types are exchanged one after the other, which keeps
// what they are, and a volume is never made anew, since that would lose its data.
func (p *Provider) ReplaceOn(kind schemas.ResourceType) []string {
	if kind == schemas.TypeNetwork {
		return []string{plan.AnyProperty}
	}
	return nil
}

// applyNetwork makes exactly one network of the resource's name. A network
// cannot be changed, so one of another declaration is made anew: its containers
// are without it for that moment and are connected again afterwards.
func (p *Provider) applyNetwork(ctx context.Context, d plan.Desired, outputs schemas.Outputs, say activities.Progress) error {
	declared, err := decode[schemas.Network](d)
	if err != nil {
		return err
	}
	if declared.Adopt != "" {
		return p.adopt(ctx, d, declared.Adopt, outputs, say)
	}
	options, err := networkOptions(d, declared, outputs)
	if err != nil {
		return err
	}
	name := objectName(d.Target)
	found, err := p.ownNetwork(ctx, d.Target, name)
	if err != nil {
		return err
	}
	if found != nil && found.Labels[activities.LabelSpec] != d.SpecHash {
		say("replacing network " + name)
		if err := p.detach(ctx, d.Target, found.ID); err != nil {
			return err
		}
		if err := p.removeNetwork(ctx, d.Target, found.Network, say); err != nil {
			return err
		}
		found = nil
	}
	if found == nil {
		say("creating network " + name)
		_, err := settle(ctx, func(ctx context.Context) (client.NetworkCreateResult, error) {
			return p.engine.NetworkCreate(ctx, name, options)
		})
		// Podman refuses a second network of the same name, which another worker
		// may have made a moment ago; what is there now decides.
		if err != nil && !errdefs.IsConflict(err) && !containsAny(err.Error(), "network already exists") {
			return networkFault(ctx, d, declared, err)
		}
		p.logger.Info("created network", "network", name)
		if found, err = p.ownNetwork(ctx, d.Target, name); err != nil {
			return err
		}
		if found == nil {
			return &activities.Fault{Kind: activities.Unavailable, Resource: d.Resource,
				Message: fmt.Sprintf("network %q was removed while it was made", name)}
		}
	}
	return p.reattach(ctx, d.Target, *found, say)
}

func networkOptions(d plan.Desired, declared schemas.Network, outputs schemas.Outputs) (client.NetworkCreateOptions, error) {
	labels, err := objectLabels(d, outputs, declared.Labels)
	if err != nil {
		return client.NetworkCreateOptions{}, err
	}
	options := client.NetworkCreateOptions{Driver: "bridge", Internal: declared.Internal, Labels: labels}
	if declared.Subnet != "" {
		subnet, err := netip.ParsePrefix(declared.Subnet)
		if err != nil {
			return options, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.subnet",
				Message: fmt.Sprintf("%q is no subnet", declared.Subnet), Hint: "write for example 10.40.0.0/24", Err: err}
		}
		options.IPAM = &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: subnet}}}
	}
	return options, nil
}

func networkFault(ctx context.Context, d plan.Desired, declared schemas.Network, err error) error {
	switch {
	case containsAny(err.Error(), "pool overlaps", "already used on the host", "already being used"):
		return &activities.Fault{Kind: activities.Conflict, Resource: d.Resource, Field: "properties.subnet",
			Message: fmt.Sprintf("subnet %s overlaps with another network of the engine", declared.Subnet),
			Hint:    "choose another subnet, or leave it out and let the engine pick one", Err: err}
	case containsAny(err.Error(), "non-overlapping ipv4 address pool"):
		return &activities.Fault{Kind: activities.Conflict, Resource: d.Resource, Field: "properties.subnet",
			Message: "the engine has no free subnet left to pick",
			Hint:    "remove networks that are not needed, or declare a subnet", Err: err}
	default:
		return engineFault(ctx, d.Resource, "create the network", err)
	}
}

// ownNetwork returns the one network of that name that is the target's, or nil.
// The engine accepts several networks of one name: those that two workers made
// at the same moment are reduced to the oldest.
func (p *Provider) ownNetwork(ctx context.Context, t plan.Target, name string) (*network.Summary, error) {
	list, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	})
	if err != nil {
		return nil, engineFault(ctx, t.Resource, "list the networks", err)
	}
	var own []network.Summary
	for _, n := range list.Items {
		// The filter matches parts of names as well.
		if n.Name != name {
			continue
		}
		if !owned(n.Labels, t) {
			return nil, foreign(t.Resource, "network", name)
		}
		own = append(own, n)
	}
	if len(own) == 0 {
		return nil, nil
	}
	slices.SortFunc(own, func(a, b network.Summary) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for _, younger := range own[1:] {
		// One that is in use already cannot be removed, and the fault says by whom.
		if err := p.removeNetwork(ctx, t, younger.Network, func(string) {}); err != nil {
			return nil, err
		}
	}
	return &own[0], nil
}

// detach takes the containers of the scope off the network. A container of
// someone else is a Conflict, found before anything is touched.
func (p *Provider) detach(ctx context.Context, t plan.Target, id string) error {
	users, err := p.networkUsers(ctx, t, id)
	if err != nil {
		return err
	}
	if others := strangers(users); len(others) > 0 {
		return networkInUse(t, others)
	}
	for _, user := range users {
		if err := p.disconnect(ctx, t.Resource, id, user.id, user.name); err != nil {
			return err
		}
	}
	return nil
}

// disconnect takes a container off a network; one that is not on it is no error.
func (p *Provider) disconnect(ctx context.Context, resource, networkID, containerID, name string) error {
	_, err := settle(ctx, func(ctx context.Context) (client.NetworkDisconnectResult, error) {
		return p.engine.NetworkDisconnect(ctx, networkID, client.NetworkDisconnectOptions{Container: containerID, Force: true})
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return engineFault(ctx, resource, "disconnect container "+name, err)
	}
	return nil
}

// reattach connects the running containers of the scope that should be on the
// network and are not, because a call ended between removing a network and
// connecting its containers to the new one.
func (p *Provider) reattach(ctx context.Context, t plan.Target, n network.Summary, say activities.Progress) error {
	containers, err := p.listContainers(ctx, t.Resource, p.scopeLabels(t.Scope))
	if err != nil {
		return err
	}
	for _, c := range containers {
		if !c.running() || !slices.Contains(separated(c.Labels[activities.LabelNetworks]), n.Name) {
			continue
		}
		if c.NetworkSettings != nil && c.NetworkSettings.Networks[n.Name] != nil {
			continue
		}
		say("connecting container " + c.name())
		var names []string
		if c.step() == "" {
			names = aliases(c.Labels[activities.LabelResource], c.index())
		}
		j := joining{network: n.ID, id: c.ID, name: c.name(), aliases: names, guarded: len(c.securityGroups()) > 0, running: true}
		if err := p.join(ctx, t.Resource, j); err != nil {
			return err
		}
	}
	return nil
}

// connect adds a container to a network; one that is there already is left.
func (p *Provider) connect(ctx context.Context, resource, networkID, containerID string, endpoint *network.EndpointSettings) error {
	_, err := settle(ctx, func(ctx context.Context) (client.NetworkConnectResult, error) {
		return p.engine.NetworkConnect(ctx, networkID, client.NetworkConnectOptions{
			Container:      containerID,
			EndpointConfig: endpoint,
		})
	})
	if err == nil || containsAny(err.Error(), "already exists in network", "is already connected") {
		return nil
	}
	return engineFault(ctx, resource, "connect the container to its network", err)
}
