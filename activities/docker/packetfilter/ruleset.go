// Package packetfilter keeps security groups in the packet filter of the kernel,
// nf_tables: one table for each provider, and nothing outside of it. It knows
// groups, rules and addresses, and no container engine. Nothing is kept anywhere
// else: a group carries its labels in the kernel.
//
// The table has two chains for what members send, one for traffic that the host
// forwards (also within a bridge) and one for traffic to the host, and behind them
// one for what members receive, so that the accept of a sender's group leaves the
// decision of the receiver's group open. What the host itself sends is not judged:
// health checks come from there.
package packetfilter

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
)

// ErrNotPermitted is what a process meets that may not change the packet filter.
var ErrNotPermitted = errors.New("this process may not change the packet filter of the kernel")

// Group is one security group.
type Group struct {
	// Name identifies the group in its table.
	Name string
	// Labels are kept with the group.
	Labels          map[string]string
	Ingress, Egress []Rule
}

// Rule allows one kind of traffic with one peer; the zero value of each field
// matches everything.
type Rule struct {
	// Protocol is a number of IANA's; 0 is every protocol.
	Protocol uint8
	// FromPort and ToPort are ports of the side that takes the connection; 0 is all.
	FromPort, ToPort uint16
	// CIDR, Group and Resource are the other side; at most one of them is set.
	CIDR            netip.Prefix
	Group, Resource string
}

// The protocols of rules.
const (
	ICMP uint8 = 1
	TCP  uint8 = 6
	UDP  uint8 = 17
)

// Addresses say who is who.
type Addresses struct {
	// Guarded are closed but for what a group allows.
	Guarded []netip.Addr
	// Subnets have a guarded address. What is sent to all of such a subnet, or from it
	// to a group of receivers (multicast), reaches nobody: it carries no address by
	// which a guarded receiver could be told from another.
	Subnets []netip.Prefix
	// Groups has the members of each group, by the group's name.
	Groups map[string][]netip.Addr
	// Resources has the addresses of each resource, by its name.
	Resources map[string][]netip.Addr
}

// ofSet returns the addresses that belong in a set, sorted. Sets are found by name,
// so that nobody has to know which groups there are.
func (a Addresses) ofSet(name string) []netip.Addr {
	var found []netip.Addr
	switch name {
	case subnetsSet:
		return a.bounds()
	case guardedSet:
		found = slices.Clone(a.Guarded)
		for _, subnet := range a.Subnets {
			found = append(found, broadcast(subnet))
		}
	}
	for group, members := range a.Groups {
		if membersSet(group) == name {
			found = append(found, members...)
		}
	}
	for resource, addresses := range a.Resources {
		if resourceSet(resource) == name {
			found = append(found, addresses...)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

// bounds are the first address of each subnet and the first one after it.
func (a Addresses) bounds() []netip.Addr {
	subnets := slices.Clone(a.Subnets)
	slices.SortFunc(subnets, netip.Prefix.Compare)
	var found []netip.Addr
	for _, subnet := range slices.Compact(subnets) {
		found = append(found, subnet.Masked().Addr(), broadcast(subnet).Next())
	}
	return found
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(subnet netip.Prefix) netip.Addr {
	last := subnet.Masked().Addr().As4()
	for bit := subnet.Bits(); bit < 32; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(last)
}

// The names in a table. Those of groups and resources can be longer than the kernel
// accepts, so that their hash stands for them.
const (
	guardedSet     = "guarded"
	subnetsSet     = "guarded-subnets"
	egressForward  = "egress-forward"
	egressInput    = "egress-input"
	ingressForward = "ingress-forward"
	egressChain    = "egress"
	ingressChain   = "ingress"
)

func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

func membersSet(group string) string     { return "members-" + hash(group) }
func resourceSet(resource string) string { return "resource-" + hash(resource) }

// chainsOf are the chains of a group: its labels, which no packet reaches, and its rules.
func chainsOf(hash string) (labels, ingress, egress string) {
	return "labels-" + hash, ingressChain + "-" + hash, egressChain + "-" + hash
}

// sets are those that the groups need.
func sets(groups []Group) []string {
	names := []string{guardedSet, subnetsSet}
	for _, g := range groups {
		names = append(names, membersSet(g.Name))
		for _, r := range slices.Concat(g.Ingress, g.Egress) {
			if set := r.set(); set != "" {
				names = append(names, set)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// set holds the other side of a rule; empty when that is a subnet or anyone.
func (r Rule) set() string {
	switch {
	case r.Group != "":
		return membersSet(r.Group)
	case r.Resource != "":
		return resourceSet(r.Resource)
	default:
		return ""
	}
}

func sorted(groups []Group) []Group {
	return slices.SortedFunc(slices.Values(groups), func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
}
