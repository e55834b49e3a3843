package docker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/schemas"
)

// fixedAddresses are those that are chosen for containers which the engine does not
// list yet. Engines take any two containers of one address, and refuse to start the
// second one.
type fixedAddresses struct {
	mu     sync.Mutex
	chosen map[endpoint]bool
}

// endpoint is an address on a network of the engine.
type endpoint struct {
	network string
	address netip.Addr
}

func newFixedAddresses() *fixedAddresses { return &fixedAddresses{chosen: map[endpoint]bool{}} }

// addressTaken is what an engine says of a fixed address that it cannot give: it is
// another container's, or not of the network as it is now.
var addressTaken = regexp.MustCompile(`Address already in use|(?i:user configured subnets|no configured subnet|invalid address [0-9.]+:|requested address is out of range)`)

// errAddressTaken says that a container has to be made anew with another address.
var errAddressTaken = errors.New("the address is taken")

// chooseAddress picks the address that a container keeps on a network, none where
// the network is not of this provider or declares no subnet: engines give fixed
// addresses on no other. The choice holds until release is called, which is when
// the engine lists the container with it; release is never nil.
func (p *Provider) chooseAddress(ctx context.Context, resource, name, container string, avoid map[netip.Addr]bool) (address netip.Addr, release func(), err error) {
	release = func() {}
	if slices.Contains(engineNetworks, name) {
		return netip.Addr{}, release, nil
	}
	found, err := read(ctx, func(ctx context.Context) (client.NetworkInspectResult, error) {
		return p.engine.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	})
	if err != nil {
		return netip.Addr{}, release, engineFault(ctx, resource, "inspect network "+name, err)
	}
	subnet, ok := p.declaredSubnet(found.Network.Network)
	if !ok {
		return netip.Addr{}, release, nil
	}
	p.addresses.mu.Lock()
	defer p.addresses.mu.Unlock()
	used, err := p.usedAddresses(ctx, resource, found.Network)
	if err != nil {
		return netip.Addr{}, release, err
	}
	address, ok = freeAddress(subnet, container, func(a netip.Addr) bool {
		return used[a] || avoid[a] || p.addresses.chosen[endpoint{found.Network.ID, a}]
	})
	if !ok {
		return netip.Addr{}, release, &activities.Fault{Kind: activities.Conflict, Resource: resource, Field: "properties.networks",
			Message: fmt.Sprintf("subnet %s of network %q has no free address left", subnet, found.Network.Name),
			Hint:    "declare a larger subnet; an update needs an address more than there are replicas"}
	}
	at := endpoint{found.Network.ID, address}
	p.addresses.chosen[at] = true
	return address, func() {
		p.addresses.mu.Lock()
		defer p.addresses.mu.Unlock()
		delete(p.addresses.chosen, at)
	}, nil
}

// declaredSubnet is the IPv4 subnet of a network whose declaration gives one.
func (p *Provider) declaredSubnet(n network.Network) (netip.Prefix, bool) {
	var declared schemas.Network
	if n.Labels[activities.LabelProvider] != p.name || json.Unmarshal([]byte(n.Labels[activities.LabelProperties]), &declared) != nil {
		return netip.Prefix{}, false
	}
	subnet, err := netip.ParsePrefix(declared.Subnet)
	return subnet.Masked(), err == nil && subnet.Addr().Is4()
}

// usedAddresses are those of the gateways, of whatever runs on the network, and of
// the containers of this provider that do not run but keep theirs.
func (p *Provider) usedAddresses(ctx context.Context, resource string, n network.Inspect) (map[netip.Addr]bool, error) {
	used := map[netip.Addr]bool{}
	for _, c := range n.IPAM.Config {
		used[c.Gateway] = true
		for _, address := range c.AuxAddress {
			used[address] = true
		}
	}
	for _, c := range n.Containers {
		used[c.IPv4Address.Addr()] = true
	}
	containers, err := p.listContainers(ctx, resource, map[string]string{activities.LabelProvider: p.name})
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		if c.NetworkSettings != nil {
			used[fixedAddress(c.NetworkSettings.Networks[n.Name])] = true
		}
	}
	return used, nil
}

// fixedAddress is the IPv4 address that a container keeps on a network, invalid
// when it has none.
func fixedAddress(e *network.EndpointSettings) netip.Addr {
	if e == nil || e.IPAMConfig == nil || !e.IPAMConfig.IPv4Address.Is4() {
		return netip.Addr{}
	}
	return e.IPAMConfig.IPv4Address
}

// freeAddress looks for an address that is not used, from a place that the name
// decides: what engines give by themselves begins at the start of the subnet. The
// first address is the gateway's where nothing else is said.
func freeAddress(subnet netip.Prefix, name string, used func(netip.Addr) bool) (netip.Addr, bool) {
	const first = 2 // after the subnet's own address and the gateway
	base := subnet.Addr().As4()
	start := binary.BigEndian.Uint32(base[:])
	count := uint64(1)<<(32-subnet.Bits()) - min(uint64(1)<<(32-subnet.Bits()), first+1)
	if count == 0 {
		return netip.Addr{}, false
	}
	sum := fnv.New64a()
	sum.Write([]byte(name))
	offset := sum.Sum64() % count
	for i := range count {
		number := start + first + uint32((offset+i)%count)
		address := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, number)))
		if !used(address) {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// endpointSettings are those of a container on a network: the names by which it is
// found, and the address that it keeps, if any.
func endpointSettings(aliases []string, address netip.Addr) *network.EndpointSettings {
	settings := &network.EndpointSettings{Aliases: aliases}
	if address.IsValid() {
		settings.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: address}
	}
	return settings
}

// joining is a container that is to be connected to a network.
type joining struct {
	network, id, name string
	aliases           []string
	// guarded says that the container has security groups.
	guarded bool
	// running says that traffic flows as soon as it is connected.
	running bool
}

// join connects a container to a network, with an address that it keeps where the
// network gives one. A guarded address that is about to be used is closed before.
func (p *Provider) join(ctx context.Context, resource string, j joining) error {
	avoid := map[netip.Addr]bool{}
	for {
		address, release, err := p.chooseAddress(ctx, resource, j.network, j.name, avoid)
		if err == nil && j.guarded {
			err = p.requireFixed(resource, j.network, address)
		}
		if err == nil && j.guarded && j.running {
			err = p.guard(ctx, resource, true, address)
		}
		if err == nil {
			err = p.connect(ctx, resource, j.network, j.id, endpointSettings(j.aliases, address))
		}
		release()
		switch {
		case err != nil && address.IsValid() && addressTaken.MatchString(err.Error()):
			avoid[address] = true
		case err != nil:
			return err
		case j.running:
			return p.guard(ctx, resource, j.guarded)
		default:
			return nil
		}
	}
}

// requireFixed refuses a guarded container on a network that gives no fixed addresses.
func (p *Provider) requireFixed(resource, name string, address netip.Addr) error {
	if address.IsValid() {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.networks",
		Message: fmt.Sprintf("a resource with security groups needs addresses that stay, which network %q does not give", name),
		Hint:    "refer to a Network that declares an IPv4 subnet"}
}
