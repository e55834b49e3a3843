package docker

import (
	"context"
	"fmt"
	"maps"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// declaredLabels are the labels that say how a replica is declared. An engine does
// not change those of a container, so that those of a proxy are in its configuration.
func (p *Provider) declaredLabels(ctx context.Context, c listed, r *plan.Replica, all []listed) (map[string]string, error) {
	if c.Labels[activities.LabelType] != string(schemas.TypeLoadBalancer) {
		return c.Labels, nil
	}
	current, err := proxy{p, c.Labels[activities.LabelResource], c.ID, c.name()}.configuration(ctx)
	if err != nil {
		return nil, err
	}
	labels := maps.Clone(c.Labels)
	delete(labels, activities.LabelProtect)
	delete(labels, activities.LabelDeleteTimeout)
	if current == nil || len(current.Labels) == 0 {
		labels[activities.LabelSpec], r.SpecHash = "", ""
		r.Drift = append(r.Drift, "it has no configuration")
		return labels, nil
	}
	maps.Copy(labels, current.Labels)
	r.SpecHash = labels[activities.LabelSpec]
	declared, err := declaredIn(*current)
	if err != nil || !alike(*current, trafficConfiguration(declared, current.Labels, routingOf(*current))) {
		r.Drift = append(r.Drift, "its configuration is not the declared one")
	}
	if version, err := p.proxyVersion(); err == nil && current.Labels[activities.LabelProxy] != version {
		r.Drift = append(r.Drift, "it runs another version of the proxy than the worker brings")
	}
	for _, replica := range all {
		t := targetOf(replica.Labels)
		if t.Type != schemas.TypeCompute || t.Resource != declared.Target || !replica.running() || routingOf(*current).serves(replica.name()) {
			continue
		}
		well, err := p.well(ctx, replica)
		if err != nil {
			return nil, err
		}
		if well {
			r.Drift = append(r.Drift, fmt.Sprintf("it passes nothing to %s", replica.name()))
		}
	}
	return labels, nil
}
