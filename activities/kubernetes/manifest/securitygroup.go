package manifest

import (
	"fmt"

	"windlass/schemas"
)

// securityGroup is a NetworkPolicy in every namespace in which pods have the group. The
// pods carry a label for it; policies of several groups add up.
func (t *translation) securityGroup(g schemas.SecurityGroup) error {
	namespaces, err := t.usedIn()
	if err != nil {
		return err
	}
	var ingress []any
	for i, r := range g.Ingress {
		rule, err := t.rule("from", r.Traffic, r.Sources, fmt.Sprintf("properties.ingress[%d]", i), "sources")
		if err != nil {
			return err
		}
		ingress = append(ingress, rule)
	}
	// Names have to be found before anything can be connected to by name.
	egress := []any{nameService()}
	for i, r := range g.Egress {
		rule, err := t.rule("to", r.Traffic, r.Targets, fmt.Sprintf("properties.egress[%d]", i), "targets")
		if err != nil {
			return err
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
	for _, namespace := range namespaces {
		t.add("networking.k8s.io/v1", "NetworkPolicy", namespace, ObjectName(t.Resource), fields{"spec": spec})
	}
	return nil
}

// rule allows one kind of connection with its peers; none means anyone.
func (t *translation) rule(member string, traffic schemas.Traffic, peers []schemas.Peer, path, field string) (fields, error) {
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
	var sides []any
	for _, p := range peers {
		sides = append(sides, t.peer(p))
	}
	if len(sides) > 0 {
		rule[member] = sides
	}
	return rule, nil
}

func (t *translation) peer(p schemas.Peer) fields {
	if p.CIDR != "" {
		return fields{"ipBlock": fields{"cidr": p.CIDR}}
	}
	pods := fields{labelGroup + p.Group: ""}
	if p.Resource != "" {
		pods = fields{LabelResource: p.Resource}
	}
	scope := fields{}
	for key, value := range ScopeLabels(t.Scope) {
		scope[key] = value
		pods[key] = value
	}
	return fields{"podSelector": fields{"matchLabels": pods}, "namespaceSelector": fields{"matchLabels": scope}}
}
