package packetfilter

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// base says where the kernel calls a chain.
type base struct {
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
}

// bases are the chains that the kernel calls, before those of engines and people,
// which are at the priority filter: what is dropped here needs no other decision,
// and what passes here is still theirs to drop.
var bases = map[string]*base{
	egressForward:  {nftables.ChainHookForward, nftables.ChainPriorityRef(*nftables.ChainPriorityFilter - 11)},
	egressInput:    {nftables.ChainHookInput, nftables.ChainPriorityRef(*nftables.ChainPriorityFilter - 11)},
	ingressForward: {nftables.ChainHookForward, nftables.ChainPriorityRef(*nftables.ChainPriorityFilter - 10)},
}

// toMany are the addresses of multicast, and that of every neighbour: 224.0.0.0/4 and
// what is above it (RFC 1112, section 4; RFC 919, section 7).
var toMany = netip.MustParsePrefix("224.0.0.0/3")

// content is what a table should hold.
type content struct {
	sets   []string
	chains []chain
}

type chain struct {
	name string
	// base is nil in a chain that only other chains lead to.
	base *base
	// shared says that the rules of one group do not depend on those of others.
	shared bool
	rules  []rule
}

type rule struct {
	expressions []expr.Any
	comment     []byte
}

func newContent(groups []Group) (*content, error) {
	egress := chain{name: egressChain, shared: true}
	ingress := chain{name: ingressChain, shared: true}
	var own []chain
	for _, g := range groups {
		labelsOf, ingressOf, egressOf := chainsOf(hash(g.Name))
		texts, err := comments(g.Labels)
		if err != nil {
			return nil, fmt.Errorf("labels of group %s: %w", g.Name, err)
		}
		labels := chain{name: labelsOf}
		for _, text := range texts {
			labels.rules = append(labels.rules, rule{comment: text})
		}
		own = append(own, labels, group(ingressOf, source, g.Ingress), group(egressOf, destination, g.Egress))
		members := membersSet(g.Name)
		egress.rules = append(egress.rules, rule{expressions: append(source.in(members), jump(egressOf))})
		ingress.rules = append(ingress.rules, rule{expressions: append(destination.in(members), jump(ingressOf))})
	}
	incoming := guard(ingressForward, destination, ingressChain)
	incoming.rules = append(incoming.rules, rule{expressions: slices.Concat(source.in(subnetsSet), destination.within(toMany), []expr.Any{verdict(expr.VerdictDrop)})})
	chains := []chain{guard(egressForward, source, egressChain), guard(egressInput, source, egressChain), incoming, egress, ingress}
	return &content{sets: sets(groups), chains: append(chains, own...)}, nil
}

// guard is a chain that the kernel calls: replies pass, and what a guarded address
// on the given side sends or receives has to be accepted by the chain behind it.
func guard(name string, guarded side, behind string) chain {
	return chain{name: name, base: bases[name], rules: []rule{
		{expressions: append(replies(), verdict(expr.VerdictAccept))},
		{expressions: append(guarded.in(guardedSet), jump(behind))},
		{expressions: append(guarded.in(guardedSet), verdict(expr.VerdictDrop))},
	}}
}

// group is the chain of a group's rules in one direction.
func group(name string, peer side, rules []Rule) chain {
	c := chain{name: name}
	for _, r := range rules {
		c.rules = append(c.rules, rule{expressions: r.expressions(peer)})
	}
	return c
}

func (c *content) has(name string) bool {
	return slices.ContainsFunc(c.chains, func(chain chain) bool { return chain.name == name })
}
