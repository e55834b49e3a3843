package manifest

import (
	"fmt"
	"slices"

	"windlass/activities"
	"windlass/schemas"
)

// securityGroup is a NetworkPolicy in every namespace in which pods have the group. The
// pods carry a label for it; policies of several groups add up.
func (t *translation) securityGroup(g schemas.SecurityGroup) error {
	namespaces, err := t.usedIn()
	if err != nil {
		return err
	}
	if err := t.havePods(g); err != nil {
		return err
	}
	for _, namespace := range namespaces {
		spec, err := t.policy(g, namespace)
		if err != nil {
			return err
		}
		t.add("networking.k8s.io/v1", "NetworkPolicy", namespace, ObjectName(t.Resource), fields{"spec": spec})
	}
	return nil
}

// policy is what the group allows in one namespace.
func (t *translation) policy(g schemas.SecurityGroup, namespace string) (fields, error) {
	var ingress []any
	for i, r := range g.Ingress {
		rule, err := t.rule("from", r.Traffic, t.peers(r.Sources, namespace), fmt.Sprintf("properties.ingress[%d]", i))
		if err != nil {
			return nil, err
		}
		ingress = append(ingress, rule)
	}
	// Names have to be found before anything can be connected to by name.
	egress := []any{nameService()}
	for i, r := range g.Egress {
		rule, err := t.rule("to", r.Traffic, t.peers(r.Targets, namespace), fmt.Sprintf("properties.egress[%d]", i))
		if err != nil {
			return nil, err
		}
		egress = append(egress, rule)
	}
	spec := fields{
		"podSelector": fields{"matchLabels": fields{labelGroup + t.Resource: ""}},
		"policyTypes": []any{"Ingress", "Egress"}, "egress": egress,
	}
	if len(ingress) > 0 {
		spec["ingress"] = ingress
	}
	return spec, nil
}

// havePods refuses peers that are not made of pods, by which a NetworkPolicy could tell
// them.
func (t *translation) havePods(g schemas.SecurityGroup) error {
	balancers, err := t.told(activities.PropertyBalancers)
	if err != nil {
		return err
	}
	for i, r := range g.Ingress {
		for n, p := range r.Sources {
			if slices.Contains(balancers, p.Resource) {
				return t.invalid(fmt.Sprintf("properties.ingress[%d].sources[%d].resource", i, n), fmt.Sprintf("%q is a LoadBalancer, which has no pods of its own on Kubernetes: connections come from its clients, or from the cluster's gateway", p.Resource),
					"name the clients, or the subnet of the gateway with cidr")
			}
		}
	}
	for i, r := range g.Egress {
		for n, p := range r.Targets {
			if slices.Contains(balancers, p.Resource) {
				return t.invalid(fmt.Sprintf("properties.egress[%d].targets[%d].resource", i, n), fmt.Sprintf("%q is a LoadBalancer, which has no pods of its own on Kubernetes: connections go on to its target", p.Resource),
					"name its target, with the ports of that")
			}
		}
	}
	return nil
}

// rule allows one kind of connection with its peers; none means anyone.
func (t *translation) rule(member string, traffic schemas.Traffic, peers []any, path string) (fields, error) {
	rule := fields{}
	traffic = traffic.WithDefaults()
	switch traffic.Protocol {
	case schemas.ProtocolAny:
	case schemas.ProtocolTCP, schemas.ProtocolUDP:
		port := fields{"protocol": string(traffic.Protocol)}
		if traffic.FromPort != 0 {
			port["port"] = traffic.FromPort
			if traffic.ToPort != traffic.FromPort {
				port["endPort"] = traffic.ToPort
			}
		}
		rule["ports"] = []any{port}
	default:
		return nil, t.invalid(path+".protocol", fmt.Sprintf("a NetworkPolicy says nothing of %s", traffic.Protocol), "use TCP, UDP or Any")
	}
	if len(peers) > 0 {
		rule[member] = peers
	}
	return rule, nil
}

// peers are those of a rule in one namespace. Pods are looked for in the namespaces of the
// Infrastructure, so that nobody becomes a peer by labels on pods of others, and in the
// namespace itself, which may have been there before and have no labels.
func (t *translation) peers(declared []schemas.Peer, namespace string) []any {
	var all []any
	for _, p := range declared {
		if p.CIDR != "" {
			all = append(all, fields{"ipBlock": fields{"cidr": p.CIDR}})
			continue
		}
		scope := ScopeLabels(t.Scope)
		pods := merged(scope, map[string]string{labelGroup + p.Group: ""})
		if p.Resource != "" {
			pods = merged(scope, map[string]string{LabelResource: p.Resource})
		}
		selected := fields{"matchLabels": pods}
		all = append(all, fields{"podSelector": selected, "namespaceSelector": fields{"matchLabels": scope}})
		if !t.ours(namespace) {
			all = append(all, fields{"podSelector": selected})
		}
	}
	return all
}
