package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

const (
	// configurationFile is the name of the configuration in the proxy's state directory.
	configurationFile = "configuration.json"
	// configurationTries is how often a configuration is made anew because somebody
	// else, as a rule another worker, was faster.
	configurationTries = 10
	// defaultDrainTimeout is that of a policy that names none.
	defaultDrainTimeout = 30 * time.Second
)

// balancer steers the proxies of one LoadBalancer. What they do is in their
// configuration and nowhere else.
type balancer struct {
	provider *Provider
	target   plan.Target
}

// balancersOf are the LoadBalancers in front of a Compute.
func (p *Provider) balancersOf(ctx context.Context, compute plan.Target) ([]*balancer, error) {
	labels := p.scopeLabels(compute.Scope)
	labels[activities.LabelTarget] = compute.Resource
	containers, err := p.listContainers(ctx, compute.Resource, labels)
	if err != nil {
		return nil, err
	}
	var found []*balancer
	for _, c := range containers {
		t := targetOf(c.Labels)
		if !slices.ContainsFunc(found, func(b *balancer) bool { return b.target == t }) {
			found = append(found, &balancer{provider: p, target: t})
		}
	}
	return found, nil
}

// instance is a proxy with what it does.
type instance struct {
	proxy
	image   string
	state   container.ContainerState
	current *traffic.Configuration
}

func (x instance) running() bool { return x.state == container.StateRunning }

// instances are the proxies that there are, and what they do.
func (b *balancer) instances(ctx context.Context) ([]instance, error) {
	return b.instancesBy(ctx, func(x proxy, _ container.ContainerState) (*traffic.Configuration, error) { return x.configuration(ctx) })
}

// remembered are the proxies that there are, and what those that run were given last. Sure
// says that none has been given anything else since, as far as can be known.
func (b *balancer) remembered(ctx context.Context) (found []instance, sure bool, err error) {
	sure = true
	found, err = b.instancesBy(ctx, func(x proxy, state container.ContainerState) (*traffic.Configuration, error) {
		if known := b.provider.given.of(x.id); known != nil && state == container.StateRunning {
			sure = false
			return known, nil
		}
		return x.configuration(ctx)
	})
	return found, sure, err
}

func (b *balancer) instancesBy(ctx context.Context, configuration func(proxy, container.ContainerState) (*traffic.Configuration, error)) ([]instance, error) {
	containers, err := b.provider.listContainers(ctx, b.target.Resource, activities.IdentityLabels(b.target))
	if err != nil {
		return nil, err
	}
	found := make([]instance, len(containers))
	for i, c := range containers {
		x := proxy{b.provider, b.target.Resource, c.ID, c.name()}
		current, err := configuration(x, c.State)
		if err != nil {
			return nil, err
		}
		found[i] = instance{x, c.Image, c.State, current}
	}
	return found, nil
}

// latest is the newest configuration of the proxies; the zero value is none.
func latest(all []instance) traffic.Configuration {
	var newest traffic.Configuration
	for _, x := range all {
		if x.current != nil && x.current.Version > newest.Version {
			newest = *x.current
		}
	}
	return newest
}

// configure makes all proxies do what change makes of what they do. Where nothing
// changes, nothing is touched. One that does not run is given the configuration for
// its next start; one that is paused, and so would go on without it, is left to when
// it runs again.
func (b *balancer) configure(ctx context.Context, files map[string][]byte, change func(traffic.Configuration) (traffic.Configuration, error)) error {
	all, sure, err := b.remembered(ctx)
	if err != nil {
		return err
	}
	for range configurationTries {
		next, err := change(latest(all))
		if err != nil {
			return err
		}
		next.Version = latest(all).Version + 1
		if sure || !same(all, next) {
			superseded, err := b.give(ctx, all, files, next)
			if err != nil || !superseded {
				return err
			}
		}
		if all, err = b.instances(ctx); err != nil {
			return err
		}
		sure = true
	}
	return &activities.Fault{Kind: activities.Unavailable, Resource: b.target.Resource,
		Message: "something else configures the proxies at the same time", Hint: "let one worker at a time change this Infrastructure by hand"}
}

// give hands a configuration to all proxies, unless each does that already.
func (b *balancer) give(ctx context.Context, all []instance, files map[string][]byte, next traffic.Configuration) (superseded bool, err error) {
	done := same(all, next)
	for _, x := range all {
		if len(files) > 0 {
			if err := x.place(ctx, files); err != nil {
				return false, err
			}
		}
		if done || x.state == container.StatePaused {
			continue
		}
		if !x.running() {
			content, err := content(next)
			if err != nil {
				return false, err
			}
			if err := x.place(ctx, map[string][]byte{configurationFile: content}); err != nil {
				return false, err
			}
			continue
		}
		if superseded, err := x.apply(ctx, next); superseded || err != nil {
			return superseded, err
		}
	}
	return false, nil
}

// same says that all proxies do that already.
func same(all []instance, c traffic.Configuration) bool {
	return !slices.ContainsFunc(all, func(x instance) bool { return x.current == nil || !alike(*x.current, c) })
}

// alike says whether two configurations do the same.
func alike(a, b traffic.Configuration) bool {
	a.Version, b.Version = 0, 0
	// As the proxy keeps them: what is empty is left out.
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}

// content is a configuration as it is kept in a file.
func content(c traffic.Configuration) ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("configuration of the proxy: %w", err)
	}
	return text, nil
}

// declaredIn is the LoadBalancer whose labels a configuration carries.
func declaredIn(c traffic.Configuration) (schemas.LoadBalancer, error) {
	var declared schemas.LoadBalancer
	if err := json.Unmarshal([]byte(c.Labels[activities.LabelProperties]), &declared); err != nil {
		return declared, err
	}
	return declared.WithDefaults(), nil
}

// routing is what the proxies of a LoadBalancer pass requests to.
type routing struct {
	endpoints []traffic.Endpoint
	// subsets are the versions that have a share of the requests of their own.
	subsets []traffic.Subset
}

// routingOf is what a configuration passes requests to.
func routingOf(c traffic.Configuration) routing {
	if len(c.Services) == 0 {
		return routing{}
	}
	return routing{slices.Clone(c.Services[0].Endpoints), c.Services[0].Subsets}
}

// serves says whether a replica gets new requests.
func (r routing) serves(name string) bool {
	return slices.ContainsFunc(r.endpoints, func(e traffic.Endpoint) bool { return e.ID == name && !e.Draining })
}

// drains says whether a replica gets no new requests and may still have some.
func (r routing) drains(name string) bool {
	return slices.ContainsFunc(r.endpoints, func(e traffic.Endpoint) bool { return e.ID == name && e.Draining })
}

// observedEndpoints are the replicas of a LoadBalancer's target that run: those that had
// requests, whatever has become of them, since the proxies see that for themselves, and
// others that are well. What is about to leave stays so.
func (b *balancer) observedEndpoints(ctx context.Context, target string, current traffic.Configuration) ([]traffic.Endpoint, error) {
	labels := b.provider.scopeLabels(b.target.Scope)
	labels[activities.LabelResource], labels[activities.LabelType] = target, string(schemas.TypeCompute)
	containers, err := b.provider.listContainers(ctx, b.target.Resource, labels)
	if err != nil {
		return nil, err
	}
	_, replicas := separateSteps(containers)
	had := routingOf(current).endpoints
	var endpoints []traffic.Endpoint
	for _, c := range replicas {
		known := slices.IndexFunc(had, func(k traffic.Endpoint) bool { return k.ID == c.name() })
		switch {
		case !c.running():
		case known >= 0:
			endpoints = append(endpoints, had[known])
		default:
			well, err := b.provider.well(ctx, c)
			if err != nil {
				return nil, err
			}
			if well {
				endpoints = append(endpoints, traffic.Endpoint{ID: c.name()})
			}
		}
	}
	return ordered(endpoints), nil
}

// well says whether a replica runs and its check, where it has one, passes.
func (p *Provider) well(ctx context.Context, c listed) (bool, error) {
	observed, err := p.observeReplicas(ctx, []listed{c})
	if err != nil || observed[0] == nil {
		return false, err
	}
	r := observed[0]
	return r.State == plan.ContainerRunning && r.Health != plan.HealthUnhealthy && r.Health != plan.HealthStarting, nil
}

// ordered sorts endpoints by name, so that the same ones are the same configuration.
func ordered(endpoints []traffic.Endpoint) []traffic.Endpoint {
	slices.SortFunc(endpoints, func(a, b traffic.Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return endpoints
}
