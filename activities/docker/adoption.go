package docker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// What is taken over was made by others, and an engine puts no labels on what
// exists. An empty volume with the labels of the resource stands for it.

// Adopts implements activities.Provider.
func (p *Provider) Adopts(ctx context.Context, d plan.Desired) (string, error) {
	name, err := adopted(d)
	if err != nil || name == "" {
		return "", err
	}
	return p.adoptable(ctx, d, name)
}

// adopted is the name of what the resource takes over; empty is nothing.
func adopted(d plan.Desired) (string, error) {
	switch d.Type {
	case schemas.TypeNetwork:
		n, err := decode[schemas.Network](d)
		return n.Adopt, err
	case schemas.TypeStorage:
		s, err := decode[schemas.Storage](d)
		return s.Adopt, err
	default:
		return "", nil
	}
}

// adoptable checks that what the resource takes over is there, is as it is declared,
// and belongs to nobody else, and returns it in words.
func (p *Provider) adoptable(ctx context.Context, d plan.Desired, name string) (string, error) {
	kind, labels, err := p.stranger(ctx, d, name)
	if err != nil {
		return "", err
	}
	fault := func(kind activities.FaultKind, message, hint string) error {
		return &activities.Fault{Kind: kind, Resource: d.Resource, Field: "properties.adopt", Message: message, Hint: hint}
	}
	if labels == nil {
		return "", fault(activities.NotFound, fmt.Sprintf("there is no %s named %q to take over", kind, name), "make it first, or take adopt out of the document")
	}
	if owner := labels[activities.LabelResource]; owner != "" {
		return "", fault(activities.Conflict, fmt.Sprintf("%s %q belongs to %s of %s", kind, name, owner, targetOf(labels).Scope), "only what was not made by Windlass is taken over")
	}
	holder, err := p.holder(ctx, d, name)
	if err != nil {
		return "", err
	}
	if holder != nil && *holder != d.Target {
		return "", fault(activities.Conflict, fmt.Sprintf("%s %q is taken over by %s of %s already", kind, name, holder.Resource, holder.Scope), "take it out of the other document first")
	}
	return fmt.Sprintf("%s %q", kind, name), nil
}

// stranger looks for what is to be taken over. Its labels are nil when it is not there.
func (p *Provider) stranger(ctx context.Context, d plan.Desired, name string) (kind string, labels map[string]string, err error) {
	if d.Type == schemas.TypeStorage {
		found, err := p.volume(ctx, d.Resource, name)
		if err != nil || found == nil {
			return "volume", nil, err
		}
		return "volume", present(found.Labels), nil
	}
	found, err := p.networkNamed(ctx, d.Resource, name)
	if err != nil || found == nil {
		return "network", nil, err
	}
	return "network", present(found.Labels), p.asDeclared(d, found)
}

// present tells labels that are none from those of nothing.
func present(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

// networkNamed is the network of that name, or nil.
func (p *Provider) networkNamed(ctx context.Context, resource, name string) (*network.Summary, error) {
	list, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", name)})
	})
	if err != nil {
		return nil, engineFault(ctx, resource, "list the networks", err)
	}
	at := slices.IndexFunc(list.Items, func(n network.Summary) bool { return n.Name == name })
	if at < 0 {
		return nil, nil
	}
	return &list.Items[at], nil
}

// asDeclared refuses a network that is not what the resource says it is.
func (p *Provider) asDeclared(d plan.Desired, found *network.Summary) error {
	declared, err := decode[schemas.Network](d)
	if err != nil {
		return err
	}
	fault := func(field, message, hint string) error {
		return &activities.Fault{Kind: activities.Conflict, Resource: d.Resource, Field: "properties." + field, Message: message, Hint: hint}
	}
	var subnets []string
	for _, c := range found.IPAM.Config {
		subnets = append(subnets, c.Subnet.String())
	}
	wanted, err := netip.ParsePrefix(declared.Subnet)
	switch {
	case declared.Subnet != "" && (err != nil || !slices.Contains(subnets, wanted.String())):
		return fault("subnet", fmt.Sprintf("network %q has the subnet %s, not %s", found.Name, strings.Join(subnets, " and "), declared.Subnet), "declare the one that it has, or leave it out")
	case declared.Internal && !found.Internal:
		return fault("internal", fmt.Sprintf("network %q is not internal", found.Name), "leave it out")
	}
	return nil
}

// holder is the resource, of whatever provider, that has taken over a network or
// volume of that name.
func (p *Provider) holder(ctx context.Context, d plan.Desired, name string) (*plan.Target, error) {
	wanted := map[string]string{activities.LabelAdopts: name, activities.LabelType: string(d.Type)}
	list, err := read(ctx, func(ctx context.Context) (client.VolumeListResult, error) {
		return p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: labelFilter(wanted)})
	})
	if err != nil {
		return nil, engineFault(ctx, d.Resource, "list the volumes", err)
	}
	at := slices.IndexFunc(list.Items, func(v volume.Volume) bool { return carries(v.Labels, wanted) })
	if at < 0 {
		return nil, nil
	}
	t := targetOf(list.Items[at].Labels)
	return &t, nil
}

// adopt takes over what exists.
func (p *Provider) adopt(ctx context.Context, d plan.Desired, name string, outputs schemas.Outputs, say activities.Progress) error {
	what, err := p.adoptable(ctx, d, name)
	if err != nil {
		return err
	}
	say("taking over " + what)
	labels, err := objectLabels(d, outputs, nil)
	if err != nil {
		return err
	}
	labels[activities.LabelAdopts] = name
	sign := adoptionName(d.Target)
	found, err := p.volume(ctx, d.Resource, sign)
	if err != nil {
		return err
	}
	if found != nil && owned(found.Labels, d.Target) && found.Labels[activities.LabelSpec] != d.SpecHash {
		if err := p.removeVolume(ctx, d.Target, sign, say); err != nil {
			return err
		}
	}
	return p.ensureVolume(ctx, d, sign, defaultDriver, nil, labels, say)
}

// adoptionName is the name of the volume that stands for what was taken over.
func adoptionName(t plan.Target) string { return objectName(t) + ".adopted" }

// observeAdoption tells what was taken over, and whether it is still there.
func (p *Provider) observeAdoption(ctx context.Context, labels map[string]string, s *sighting) error {
	name := labels[activities.LabelAdopts]
	kind, found, err := p.stranger(ctx, plan.Desired{Target: targetOf(labels)}, name)
	if err != nil {
		return err
	}
	s.observed.Adopted = fmt.Sprintf("%s %q", kind, name)
	if found == nil {
		s.changes = append(s.changes, fmt.Sprintf("%s %q, which was taken over, is gone", kind, name))
	}
	return nil
}
