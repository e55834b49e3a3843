package schemas

import (
	"fmt"
	"net/netip"
	"slices"
)

// securityGroup checks the rules of a group.
func (v *validation) securityGroup(index int, r *Resource) {
	group, err := Decode[SecurityGroup](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	for n, rule := range group.Ingress {
		v.rule(elementPath(v.path(index, "properties.ingress"), n), r, rule.Traffic, "sources", rule.Sources)
	}
	for n, rule := range group.Egress {
		v.rule(elementPath(v.path(index, "properties.egress"), n), r, rule.Traffic, "targets", rule.Targets)
	}
}

func (v *validation) rule(path string, r *Resource, t Traffic, member string, peers []Peer) {
	hasPorts := t.Protocol == ProtocolTCP || t.Protocol == ProtocolUDP
	switch {
	case !hasPorts && t.FromPort != 0:
		v.fault(path+".fromPort", fmt.Sprintf("is %d, but %s has no ports; leave it out, or set protocol to TCP or UDP", t.FromPort, t.Protocol))
	case !hasPorts && t.ToPort != 0:
		v.fault(path+".toPort", fmt.Sprintf("is %d, but %s has no ports; leave it out, or set protocol to TCP or UDP", t.ToPort, t.Protocol))
	case t.FromPort == 0 && t.ToPort != 0:
		v.fault(path+".toPort", fmt.Sprintf("is %d without a fromPort; set fromPort to the first port", t.ToPort))
	case t.ToPort != 0 && t.ToPort < t.FromPort:
		v.fault(path+".toPort", fmt.Sprintf("is %d, which is before fromPort %d; a port from %d to 65535 is accepted", t.ToPort, t.FromPort, t.FromPort))
	}
	for n, p := range peers {
		v.peer(elementPath(path+"."+member, n), r, p)
	}
}

func (v *validation) peer(path string, r *Resource, p Peer) {
	set := 0
	for _, value := range []string{p.CIDR, p.Resource, p.Group} {
		if value != "" {
			set++
		}
	}
	switch {
	case set != 1:
		v.fault(path, fmt.Sprintf("has %d of cidr, resource and group; exactly one is expected", set))
	case p.CIDR != "":
		v.subnet(path+".cidr", p.CIDR)
	case p.Group != "":
		v.named(path+".group", r, p.Group, TypeSecurityGroup)
	case v.named(path+".resource", r, p.Resource, TypeCompute, TypeDatabase, TypeLoadBalancer):
		if reason := v.unfixed(v.byName[p.Resource]); reason != "" {
			v.fault(path+".resource", fmt.Sprintf("%q is named by a security group, and so needs addresses that stay, but %s", p.Resource, reason))
		}
	}
}

// subnet checks an IPv4 subnet.
func (v *validation) subnet(path, text string) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !prefix.Addr().Is4():
		v.fault(path, fmt.Sprintf("%q is not accepted; an IPv4 subnet such as 10.0.0.0/8 is expected, and a single address as 10.0.0.7/32", text))
	case prefix != prefix.Masked():
		v.fault(path, fmt.Sprintf("%q is an address inside of a subnet; write %s for the subnet or %s/32 for the address", text, prefix.Masked(), prefix.Addr()))
	}
}

// named checks that a rule of r names a resource of the document that is of one of
// the types and in the same place.
func (v *validation) named(path string, r *Resource, name string, types ...ResourceType) bool {
	target := v.byName[name]
	if target == nil {
		v.fault(path, fmt.Sprintf("%q is no resource of this document; declared are %s", name, v.names()))
		return false
	}
	switch {
	case !slices.Contains(types, target.Type):
		accepted := string(types[0])
		for n, t := range types[1:] {
			joint := ", "
			if n == len(types)-2 {
				joint = " or "
			}
			accepted += joint + string(t)
		}
		v.fault(path, fmt.Sprintf("%q is a %s; a %s is expected", name, target.Type, accepted))
	case target.Provider != r.Provider:
		v.fault(path, fmt.Sprintf("%q is of provider %s, but the group is of provider %s; both have to be of one provider", name, target.Provider, r.Provider))
	default:
		return true
	}
	return false
}

// guard checks the groups of a resource and what they need of it.
func (v *validation) guard(index int, r *Resource, groups, networks []string) {
	for n, text := range groups {
		path := elementPath(v.path(index, "properties.securityGroups"), n)
		group, ok := v.referred(text)
		switch {
		case !ok:
			v.fault(path, fmt.Sprintf("%q is not accepted; a reference to a SecurityGroup such as ${web-access.name} is expected", text))
		case group == nil: // references has said so
		case group.Type != TypeSecurityGroup:
			v.fault(path, fmt.Sprintf("%q is a %s; a reference to a SecurityGroup is expected", group.Name, group.Type))
		case group.Provider != r.Provider:
			v.fault(path, fmt.Sprintf("%q is of provider %s, but the resource is of provider %s; both have to be of one provider", group.Name, group.Provider, r.Provider))
		}
	}
	if len(groups) == 0 {
		return
	}
	if reason := v.unfixed(r); reason != "" {
		v.fault(v.path(index, "properties.securityGroups"), "a resource with security groups needs addresses that stay, but "+reason)
	}
}

// referred is the resource that a text refers to with its name output; the flag is
// false when the text is no such reference and nothing else.
func (v *validation) referred(text string) (*Resource, bool) {
	name, ok := nameReference(text)
	if !ok {
		return nil, false
	}
	return v.byName[name], true
}

// nameReference is the resource of a text that is a reference to a name output and
// nothing else.
func nameReference(text string) (resource string, ok bool) {
	references, err := References(text)
	if err != nil || len(references) != 1 || references[0].String() != text || references[0].Name != "name" {
		return "", false
	}
	return references[0].Namespace, true
}

// unfixed says why the addresses of a resource may change, and what to do about it; empty when they stay. Engines give fixed addresses only on networks
// whose subnet is declared.
func (v *validation) unfixed(r *Resource) string {
	networks := r.Networks()
	if len(networks) == 0 {
		return "it is on no network; give it one with networks, a reference to a Network of this document with a subnet"
	}
	for _, text := range networks {
		target, ok := v.referred(text)
		if !ok || target == nil || target.Type != TypeNetwork {
			return fmt.Sprintf("network %q is no Network of this document; refer to one with a subnet", text)
		}
		network, err := Decode[Network](*target)
		if err != nil {
			return err.Error()
		}
		if subnet, err := netip.ParsePrefix(network.Subnet); err != nil || !subnet.Addr().Is4() {
			return fmt.Sprintf("Network %q has no IPv4 subnet; declare one in its properties, such as subnet: 10.40.0.0/24", target.Name)
		}
	}
	return ""
}

// Joins says whether what is made for a resource of the type joins networks.
func (t ResourceType) Joins() bool {
	return t == TypeCompute || t == TypeDatabase || t == TypeLoadBalancer
}

// Networks are those that the containers of a resource join, as they are declared.
func (r Resource) Networks() []string {
	// A failure to decode has been told where the document was checked.
	switch r.Type {
	case TypeDatabase:
		d, _ := Decode[Database](r)
		return d.Networks
	case TypeLoadBalancer:
		b, _ := Decode[LoadBalancer](r)
		return b.Networks
	}
	c, _ := Decode[Compute](r)
	return c.Networks
}
