package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/activities/docker/packetfilter"
	"windlass/plan"
	"windlass/schemas"
)

// bridgeSetting says whether the kernel shows the packet filter what goes from one
// container to another on the same network.
const bridgeSetting = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// targetOf is the resource that an object with these labels belongs to.
func targetOf(labels map[string]string) plan.Target {
	return plan.Target{
		Scope:    schemas.Scope{Environment: labels[activities.LabelEnvironment], Infrastructure: labels[activities.LabelInfrastructure]},
		Resource: labels[activities.LabelResource],
		Type:     schemas.ResourceType(labels[activities.LabelType]),
		Provider: labels[activities.LabelProvider],
	}
}

// securityGroups are the groups that a container is a member of, by their names.
func (l listed) securityGroups() []string {
	return separated(l.Labels[activities.LabelSecurityGroups])
}

// addressesOf tells who has which address. What a group or a rule allows goes by
// addresses that stay; guarded is whatever address a member has, so that one that
// was connected by hand is not open. Pending addresses are about to be a member's.
func (p *Provider) addressesOf(ctx context.Context, resource string, containers []listed, pending ...netip.Addr) (packetfilter.Addresses, error) {
	a := packetfilter.Addresses{Guarded: pending, Groups: map[string][]netip.Addr{}, Resources: map[string][]netip.Addr{}}
	for _, c := range containers {
		if c.NetworkSettings == nil {
			continue
		}
		groups, resource := c.securityGroups(), objectName(targetOf(c.Labels))
		for _, e := range c.NetworkSettings.Networks {
			if fixed := fixedAddress(e); fixed.IsValid() {
				a.Resources[resource] = append(a.Resources[resource], fixed)
				for _, group := range groups {
					a.Groups[group] = append(a.Groups[group], fixed)
				}
				if len(groups) > 0 {
					a.Guarded = append(a.Guarded, fixed)
				}
			}
			if e != nil && len(groups) > 0 && e.IPAddress.Is4() {
				a.Guarded = append(a.Guarded, e.IPAddress)
			}
		}
	}
	var err error
	a.Subnets, err = p.guardedSubnets(ctx, resource, containers)
	return a, err
}

// guardedSubnets are those of the networks that a member is on, also one that does
// not run.
func (p *Provider) guardedSubnets(ctx context.Context, resource string, containers []listed) ([]netip.Prefix, error) {
	joined := map[string]bool{}
	for _, c := range containers {
		if c.NetworkSettings == nil || len(c.securityGroups()) == 0 {
			continue
		}
		for name := range c.NetworkSettings.Networks {
			joined[name] = true
		}
	}
	if len(joined) == 0 {
		return nil, nil
	}
	list, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{})
	})
	if err != nil {
		return nil, engineFault(ctx, resource, "list the networks", err)
	}
	var subnets []netip.Prefix
	for _, n := range list.Items {
		for _, c := range n.IPAM.Config {
			if joined[n.Name] && c.Subnet.Addr().Is4() {
				subnets = append(subnets, c.Subnet)
			}
		}
	}
	return subnets, nil
}

// guard brings the addresses in the packet filter up to date with the containers of
// the engine. Where they have to be guarded, a packet filter that cannot be changed
// is a fault; elsewhere it holds nothing of this provider.
func (p *Provider) guard(ctx context.Context, resource string, guarded bool, pending ...netip.Addr) error {
	exists, err := p.filter.Exists()
	if !guarded && (errors.Is(err, packetfilter.ErrNotPermitted) || err == nil && !exists) {
		return nil
	}
	if err != nil {
		return filterFault(ctx, resource, err)
	}
	unlock, err := p.filter.Lock(ctx)
	if err != nil {
		return filterFault(ctx, resource, err)
	}
	defer unlock()
	containers, err := p.listContainers(ctx, resource, map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return err
	}
	addresses, err := p.addressesOf(ctx, resource, containers, pending...)
	if err != nil {
		return err
	}
	if exists, err = p.filter.Exists(); err != nil {
		return filterFault(ctx, resource, err)
	}
	switch {
	case !exists && len(addresses.Guarded) > 0:
		err = p.filter.Write(nil, addresses)
	case exists:
		err = p.setAddresses(addresses)
	}
	if err != nil {
		return filterFault(ctx, resource, err)
	}
	return nil
}

// setAddresses brings the addresses up to date, and everything where somebody broke
// what closes them. With nothing to guard and no group, nothing is left.
func (p *Provider) setAddresses(addresses packetfilter.Addresses) error {
	intact, err := p.filter.Intact()
	if err != nil {
		return err
	}
	if intact && len(addresses.Guarded) > 0 {
		return p.filter.SetAddresses(addresses)
	}
	groups, err := p.groups()
	switch {
	case err != nil:
		return err
	case len(groups) == 0 && len(addresses.Guarded) == 0:
		return p.filter.Remove()
	case intact:
		return p.filter.SetAddresses(addresses)
	default:
		return p.filter.Write(slices.Collect(maps.Values(groups)), addresses)
	}
}

// RestoreSecurityGroups closes the containers that have security groups when the
// kernel has forgotten them, as it does when the host starts: until the groups are
// deployed again, nothing that they allow passes. It changes nothing where no
// container has groups.
func (p *Provider) RestoreSecurityGroups(ctx context.Context) error {
	containers, err := p.listContainers(ctx, "", map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return err
	}
	return p.guard(ctx, "", slices.ContainsFunc(containers, func(c listed) bool { return len(c.securityGroups()) > 0 }))
}

// requireFirewall says why nothing can be guarded from here, if so.
func (p *Provider) requireFirewall(ctx context.Context, resource string) error {
	list, err := read(ctx, func(ctx context.Context) (client.NetworkListResult, error) {
		return p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("driver", "bridge")})
	})
	if err != nil {
		return engineFault(ctx, resource, "list the networks", err)
	}
	here := len(list.Items) == 0
	for _, n := range list.Items {
		name := n.Options["com.docker.network.bridge.name"]
		if name == "" {
			const idLength = 12
			name = "br-" + n.ID[:min(len(n.ID), idLength)]
		}
		if _, err := net.InterfaceByName(name); err == nil {
			here = true
		}
	}
	if !here {
		return &activities.Fault{Kind: activities.Invalid, Resource: resource,
			Message: fmt.Sprintf("security groups are enforced by the kernel of the engine's host, and the engine at %s is not on the host of this worker", p.engine.DaemonHost()),
			Hint:    "run a worker on the engine's host, in its network namespace, or take the security groups out of the document"}
	}
	setting, err := os.ReadFile(p.bridgeSetting)
	if err != nil || !bytes.Equal(bytes.TrimSpace(setting), []byte("1")) {
		found := "is " + strings.TrimSpace(string(setting))
		if err != nil {
			found = "cannot be read"
		}
		return &activities.Fault{Kind: activities.Invalid, Resource: resource,
			Message: fmt.Sprintf("the kernel does not show the packet filter what goes from container to container: net.bridge.bridge-nf-call-iptables %s", found),
			Hint:    "run `modprobe br_netfilter` and `sysctl net.bridge.bridge-nf-call-iptables=1` on the host, or take the security groups out of the document", Err: err}
	}
	if _, err := p.filter.Exists(); err != nil {
		return filterFault(ctx, resource, err)
	}
	return nil
}

// filterFault makes a Fault of what the packet filter answered.
func filterFault(ctx context.Context, resource string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", resource, ctx.Err())
	case errors.Is(err, packetfilter.ErrNotPermitted):
		return &activities.Fault{Kind: activities.Invalid, Resource: resource,
			Message: "security groups cannot be enforced: the worker may not change the packet filter of the kernel",
			Hint:    "run the worker as root or with the capability CAP_NET_ADMIN, on Linux, or take the security groups out of the document", Err: err}
	default:
		return &activities.Fault{Kind: activities.Unavailable, Resource: resource, Message: "packet filter: " + err.Error(), Err: err}
	}
}
