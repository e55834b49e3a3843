package activities

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"windlass/plan"
	"windlass/schemas"
)

// SelectiveProvider is a Provider that takes declarations as they are written for other
// kinds of place, and does not use every field of them.
type SelectiveProvider interface {
	Provider
	// Unused are the paths of the fields of the declaration that it does not use, such as
	// "properties.subnet". Every plan shows them.
	Unused(declared plan.Desired) []string
}

// PlacingProvider is a Provider in whose place some resources, such as a volume, have
// to lie in the network of what uses them. Their own declarations name none.
type PlacingProvider interface {
	Provider
	// PlacedByUse says whether that is so of a type. The properties of such a resource
	// get a member PropertyNetworks when they are declared.
	PlacedByUse(kind schemas.ResourceType) bool
}

// PropertyNetworks is the member of the properties that names, in order, the networks
// of what uses a resource; "" stands for using it from no network.
const PropertyNetworks = "usedInNetworks"

// PropertyBalancers is the member of the properties that names, in order, the
// LoadBalancers among the peers of a SecurityGroup. Its rules name them without their type.
const PropertyBalancers = "balancersAmongPeers"

// placed adds to the properties of a resource where it is used, and to its dependencies
// the Networks that have to be there first.
func (d *declaration) placed(r *schemas.Resource, properties json.RawMessage, dependencies []string) (json.RawMessage, []string, error) {
	networks := map[string]bool{}
	for i := range d.document.Spec.Resources {
		user := &d.document.Spec.Resources[i]
		needs, err := user.Dependencies()
		if err != nil {
			return nil, nil, err
		}
		if user.Provider != r.Provider || !slices.Contains(needs, r.Name) || !user.Type.Joins() {
			continue
		}
		joined := user.Networks()
		if len(joined) == 0 {
			networks[""] = true
		}
		for _, text := range joined {
			name, err := d.network(r, text, &dependencies)
			if err != nil {
				return nil, nil, err
			}
			networks[name] = true
		}
	}
	var object map[string]any
	if err := json.Unmarshal(properties, &object); err != nil {
		return nil, nil, fmt.Errorf("properties of %q: %w", r.Name, err)
	}
	object[PropertyNetworks] = slices.Sorted(maps.Keys(networks))
	balancers, err := d.balancersAmongPeers(r)
	if err != nil {
		return nil, nil, err
	}
	if len(balancers) > 0 {
		object[PropertyBalancers] = balancers
	}
	slices.Sort(dependencies)
	text, err := json.Marshal(object)
	return text, slices.Compact(dependencies), err
}

// balancersAmongPeers are the LoadBalancers that the rules of a SecurityGroup name.
func (d *declaration) balancersAmongPeers(r *schemas.Resource) ([]string, error) {
	if r.Type != schemas.TypeSecurityGroup {
		return nil, nil
	}
	group, err := schemas.Decode[schemas.SecurityGroup](*r)
	if err != nil {
		return nil, err
	}
	var peers []schemas.Peer
	for _, rule := range group.Ingress {
		peers = append(peers, rule.Sources...)
	}
	for _, rule := range group.Egress {
		peers = append(peers, rule.Targets...)
	}
	var names []string
	for _, p := range peers {
		if peer := d.byName[p.Resource]; peer != nil && peer.Type == schemas.TypeLoadBalancer {
			names = append(names, p.Resource)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// network resolves the network that a user of r joins, and notes the Network that it
// refers to.
func (d *declaration) network(r *schemas.Resource, text string, dependencies *[]string) (string, error) {
	return schemas.Evaluate(text, func(reference schemas.Reference) (string, error) {
		target := d.byName[reference.Namespace]
		if target == nil {
			return "", &Fault{Kind: Invalid, Resource: r.Name, Message: fmt.Sprintf("%s names no resource", reference)}
		}
		if d.needs(target, r.Name, map[string]bool{}) {
			return "", &Fault{Kind: Invalid, Resource: r.Name, Field: "dependsOn",
				Message: fmt.Sprintf("it has to lie in network %q, which depends on it", target.Name),
				Hint:    fmt.Sprintf("have %q depend on nothing that uses it", target.Name)}
		}
		*dependencies = append(*dependencies, target.Name)
		other, err := d.resource(target)
		if err != nil {
			return "", err
		}
		return other.outputs[reference.Name], nil
	})
}

// needs says whether a resource depends on one of that name, directly or not.
func (d *declaration) needs(r *schemas.Resource, name string, seen map[string]bool) bool {
	if r == nil || seen[r.Name] {
		return false
	}
	seen[r.Name] = true
	names, err := r.Dependencies()
	return err == nil && slices.ContainsFunc(names, func(n string) bool { return n == name || d.needs(d.byName[n], name, seen) })
}
