package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"windlass/activities"
	"windlass/activities/docker/packetfilter"
	"windlass/plan"
	"windlass/schemas"
)

func (p *Provider) applySecurityGroup(ctx context.Context, d plan.Desired, outputs schemas.Outputs, say activities.Progress) error {
	labels, err := objectLabels(d, outputs, nil)
	if err != nil {
		return err
	}
	group, err := groupOf(labels)
	if err != nil {
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	if err := p.requireFirewall(ctx, d.Resource); err != nil {
		return err
	}
	say("writing the rules of security group " + group.Name)
	return p.changeGroups(ctx, d.Target, func(groups map[string]packetfilter.Group) { groups[group.Name] = group })
}

// deleteSecurityGroup removes the group, unless a container has it: it would be
// closed for good.
func (p *Provider) deleteSecurityGroup(ctx context.Context, t plan.Target, say activities.Progress) error {
	exists, err := p.filter.Exists()
	if err != nil {
		return filterFault(ctx, t.Resource, err)
	}
	if !exists {
		return nil
	}
	containers, err := p.listContainers(ctx, t.Resource, map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return err
	}
	var members []string
	for _, c := range containers {
		if slices.Contains(c.securityGroups(), objectName(t)) {
			members = append(members, c.name())
		}
	}
	if len(members) > 0 {
		return &activities.Fault{Kind: activities.Conflict, Resource: t.Resource,
			Message: fmt.Sprintf("security group %q is attached to %s", objectName(t), strings.Join(members, ", ")),
			Hint:    "take it out of securityGroups there first"}
	}
	say("removing security group " + objectName(t))
	return p.changeGroups(ctx, t, func(groups map[string]packetfilter.Group) { delete(groups, objectName(t)) })
}

// changeGroups writes the groups that are there, changed, with the addresses that
// the engine says. What was changed by hand in the packet filter is put back.
func (p *Provider) changeGroups(ctx context.Context, t plan.Target, change func(map[string]packetfilter.Group)) error {
	unlock, err := p.filter.Lock(ctx)
	if err != nil {
		return filterFault(ctx, t.Resource, err)
	}
	defer unlock()
	groups, err := p.groups()
	if err != nil {
		return filterFault(ctx, t.Resource, err)
	}
	containers, err := p.listContainers(ctx, t.Resource, map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return err
	}
	change(groups)
	addresses, err := p.addressesOf(ctx, t.Resource, containers)
	if err != nil {
		return err
	}
	if len(groups) == 0 && len(addresses.Guarded) == 0 {
		err = p.filter.Remove()
	} else {
		err = p.filter.Write(slices.Collect(maps.Values(groups)), addresses)
	}
	if err != nil {
		return filterFault(ctx, t.Resource, err)
	}
	p.logger.Info("wrote security groups", "cause", objectName(t), "groups", len(groups))
	return nil
}

// groups reads the groups of this provider from the kernel, by name.
func (p *Provider) groups() (map[string]packetfilter.Group, error) {
	groups := map[string]packetfilter.Group{}
	exists, err := p.filter.Exists()
	if err != nil || !exists {
		return groups, err
	}
	all, err := p.filter.Labels()
	if err != nil {
		return nil, err
	}
	for _, labels := range all {
		group, err := groupOf(labels)
		if err != nil {
			p.logger.Warn("left out a security group whose labels were changed", "group", group.Name, "error", err)
			continue
		}
		groups[group.Name] = group
	}
	return groups, nil
}

// observeGroups finds the security groups of a scope, and says in words what was
// changed of them by hand. Where the packet filter may not be read there are none.
func (p *Provider) observeGroups(ctx context.Context, labels map[string]string, containers []listed) ([]observedGroup, error) {
	exists, err := p.filter.Exists()
	if errors.Is(err, packetfilter.ErrNotPermitted) || err == nil && !exists {
		return nil, nil
	}
	if err != nil {
		return nil, filterFault(ctx, "", err)
	}
	unlock, err := p.filter.Lock(ctx)
	if err != nil {
		return nil, filterFault(ctx, "", err)
	}
	defer unlock()
	all, err := p.groups()
	if err != nil {
		return nil, filterFault(ctx, "", err)
	}
	var groups []packetfilter.Group
	for _, group := range all {
		if carries(group.Labels, labels) {
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	addresses, err := p.addressesOf(ctx, "", containers)
	if err != nil {
		return nil, err
	}
	differences, err := p.filter.Differences(groups, addresses)
	if err != nil {
		return nil, filterFault(ctx, "", err)
	}
	observed := make([]observedGroup, len(groups))
	for i, group := range groups {
		observed[i] = observedGroup{labels: group.Labels, changes: differences[group.Name]}
	}
	return observed, nil
}

// observedGroup is a security group with what was changed of it by hand, in words.
type observedGroup struct {
	labels  map[string]string
	changes []string
}

// groupOf translates the declaration that labels hold. The name is that of the
// group also when there is an error.
func groupOf(labels map[string]string) (packetfilter.Group, error) {
	t := targetOf(labels)
	group := packetfilter.Group{Name: objectName(t), Labels: labels}
	var declared schemas.SecurityGroup
	if err := json.Unmarshal([]byte(labels[activities.LabelProperties]), &declared); err != nil {
		return group, fmt.Errorf("properties of security group %s: %w", group.Name, err)
	}
	for _, r := range declared.Ingress {
		rules, err := rulesOf(t, r.Traffic, r.Sources)
		if err != nil {
			return group, err
		}
		group.Ingress = append(group.Ingress, rules...)
	}
	for _, r := range declared.Egress {
		rules, err := rulesOf(t, r.Traffic, r.Targets)
		if err != nil {
			return group, err
		}
		group.Egress = append(group.Egress, rules...)
	}
	return group, nil
}

var protocols = map[schemas.TrafficProtocol]uint8{
	schemas.ProtocolTCP: packetfilter.TCP, schemas.ProtocolUDP: packetfilter.UDP, schemas.ProtocolICMP: packetfilter.ICMP, schemas.ProtocolAny: 0,
}

// rulesOf are the rules for each of the peers, or for anyone.
func rulesOf(t plan.Target, traffic schemas.Traffic, peers []schemas.Peer) ([]packetfilter.Rule, error) {
	traffic = traffic.WithDefaults()
	protocol, ok := protocols[traffic.Protocol]
	if !ok {
		return nil, fmt.Errorf("%q is no protocol of a security group", traffic.Protocol)
	}
	rule := packetfilter.Rule{Protocol: protocol, FromPort: uint16(traffic.FromPort), ToPort: uint16(traffic.ToPort)}
	if len(peers) == 0 {
		return []packetfilter.Rule{rule}, nil
	}
	rules := make([]packetfilter.Rule, len(peers))
	for i, peer := range peers {
		rules[i] = rule
		other := t
		switch {
		case peer.Group != "":
			other.Resource = peer.Group
			rules[i].Group = objectName(other)
		case peer.Resource != "":
			other.Resource = peer.Resource
			rules[i].Resource = objectName(other)
		default:
			subnet, err := netip.ParsePrefix(peer.CIDR)
			if err != nil || !subnet.Addr().Is4() {
				return nil, fmt.Errorf("%q is no IPv4 subnet", peer.CIDR)
			}
			rules[i].CIDR = subnet.Masked()
		}
	}
	return rules, nil
}
