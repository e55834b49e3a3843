package docker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/activities/docker/promquery"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

var _ activities.ReplicaProvider = (*Provider)(nil)

// Rolls implements activities.ReplicaProvider.
func (p *Provider) Rolls(declared plan.Desired) (bool, error) {
	if declared.Type != schemas.TypeCompute {
		return false, nil
	}
	c, err := decode[schemas.Compute](declared)
	if err != nil {
		return false, err
	}
	return c.Overlaps(), checkQueries(declared)
}

// checkQueries refuses what cannot be asked of the proxies' metrics.
func checkQueries(d plan.Desired) error {
	for i, step := range d.RolloutStrategy().Steps {
		if step.Analysis == nil || step.Analysis.PromQL == nil {
			continue
		}
		if err := promquery.Check(step.Analysis.PromQL.Query); err != nil {
			return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource,
				Field: fmt.Sprintf("properties.strategy.steps[%d].analysis.promql.query", i), Message: "is no PromQL: " + err.Error(), Err: err}
		}
	}
	return nil
}

// Survey implements activities.ReplicaProvider. It removes what earlier rollouts have
// set aside.
func (p *Provider) Survey(ctx context.Context, declared plan.Desired, progress activities.Progress) (activities.Survey, error) {
	var survey activities.Survey
	if err := p.mine(declared.Target); err != nil {
		return survey, err
	}
	say, stop := activities.Narrate(progress)
	defer stop()
	containers, err := p.listContainers(ctx, declared.Resource, activities.IdentityLabels(declared.Target))
	if err != nil {
		return survey, err
	}
	aside, containers := separateAside(containers)
	steps, containers := separateSteps(containers)
	for _, c := range aside {
		if err := p.remove(ctx, declared.Target, c, say); err != nil {
			return survey, err
		}
	}
	// One of another version may still run, and hold what the declared ones need.
	for _, c := range steps {
		if c.Labels[activities.LabelSpec] == declared.SpecHash {
			continue
		}
		if err := p.remove(ctx, declared.Target, c, say); err != nil {
			return survey, err
		}
	}
	balancers, err := p.balancersOf(ctx, declared.Target)
	if err != nil {
		return survey, err
	}
	routed, err := routedBy(ctx, balancers)
	if err != nil {
		return survey, err
	}
	replicas, err := p.observeReplicas(ctx, containers)
	if err != nil {
		return survey, err
	}
	survey.Balanced = len(balancers) > 0
	for i, r := range replicas {
		if r == nil {
			continue
		}
		revision, _ := strconv.Atoi(containers[i].Labels[activities.LabelRevision]) // 0 is one that nobody knows
		survey.Replicas = append(survey.Replicas, activities.ReplicaReport{
			Set: r.SpecHash, Revision: revision, Index: r.Index, Name: r.Name, Image: r.Image,
			Available: replicaTrouble(*r) == "", Starting: r.State == plan.ContainerCreated || r.State == plan.ContainerRunning && r.Health == plan.HealthStarting,
			Routed: slices.Contains(routed, r.Name),
		})
	}
	return survey, nil
}

// routedBy are the replicas that every one of the balancers passes requests to.
func routedBy(ctx context.Context, balancers []*balancer) ([]string, error) {
	times := map[string]int{}
	for _, b := range balancers {
		all, err := b.instances(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range routingOf(latest(all)).endpoints {
			if !e.Draining {
				times[e.ID]++
			}
		}
	}
	var names []string
	for name, n := range times {
		if n == len(balancers) {
			names = append(names, name)
		}
	}
	return names, nil
}

// version is the workload of one version of a Compute.
func (p *Provider) version(ctx context.Context, d plan.Desired, secrets activities.Secrets) (*workload, error) {
	if err := p.mine(d.Target); err != nil {
		return nil, err
	}
	outputs, err := p.Outputs(d)
	if err != nil {
		return nil, err
	}
	w, err := computeWorkload(d, outputs, secrets)
	if err != nil {
		return nil, err
	}
	if w.guarded() {
		err = p.requireFirewall(ctx, d.Resource)
	}
	return w, err
}

// StartReplica implements activities.ReplicaProvider.
func (p *Provider) StartReplica(ctx context.Context, declared plan.Desired, index int, secrets activities.Secrets, progress activities.Progress) (string, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return "", err
	}
	r := &replica{provider: p, workload: w, index: index, secrets: secrets, say: say}
	name := w.containerName(index)
	found, err := p.inspect(ctx, declared.Resource, name)
	if err != nil {
		return "", err
	}
	if found != nil && owned(found.Config.Labels, declared.Target) && found.Config.Labels[activities.LabelSpec] == declared.SpecHash {
		adopted, err := r.adopt(ctx, found.ID)
		if adopted || err != nil {
			return name, err
		}
		if err := r.discard(ctx, found.ID); err != nil {
			return "", err
		}
	}
	_, err = r.make(ctx)
	return name, err
}

// AwaitReplica implements activities.ReplicaProvider.
func (p *Provider) AwaitReplica(ctx context.Context, declared plan.Desired, index int, secrets activities.Secrets, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return err
	}
	r := &replica{provider: p, workload: w, index: index, secrets: secrets, say: say}
	if err := r.await(ctx, w.containerName(index), false); err != nil {
		return err
	}
	return r.hold(ctx, declared.RolloutStrategy())
}

// Route implements activities.ReplicaProvider.
func (p *Provider) Route(ctx context.Context, declared plan.Desired, change activities.Routing, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	balancers, err := p.balancersOf(ctx, declared.Target)
	if err != nil {
		return err
	}
	containers, err := p.listContainers(ctx, declared.Resource, activities.IdentityLabels(declared.Target))
	if err != nil {
		return err
	}
	there := func(e traffic.Endpoint) bool {
		return slices.ContainsFunc(containers, func(c listed) bool { return c.name() == e.ID })
	}
	for _, b := range balancers {
		say("changing what " + b.target.Resource + " passes requests to")
		err := b.edit(ctx, say, func(r routing) routing {
			r.endpoints = slices.DeleteFunc(r.endpoints, func(e traffic.Endpoint) bool { return e.Draining && !there(e) })
			for _, name := range change.Join {
				r = r.with(name)
			}
			for _, name := range change.Leave {
				r = r.without(name)
			}
			return r.shared(versionSuffix(declared), change.Weight)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DrainReplica implements activities.ReplicaProvider.
func (p *Provider) DrainReplica(ctx context.Context, target plan.Target, name string, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	balancers, err := p.balancersOf(ctx, target)
	if err != nil {
		return err
	}
	say("waiting until " + name + " has no request in flight")
	group, groupContext := errgroup.WithContext(ctx)
	for _, b := range balancers {
		group.Go(func() error { return b.drain(groupContext, name) })
	}
	return group.Wait()
}

// RemoveReplica implements activities.ReplicaProvider.
func (p *Provider) RemoveReplica(ctx context.Context, target plan.Target, name string, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	c, err := p.ownReplica(ctx, target, name)
	if c == nil || err != nil {
		return err
	}
	return p.remove(ctx, target, *c, say)
}

// ownReplica is the replica of that name; nil when it is gone. The error is a Fault
// of kind Conflict when it is somebody else's.
func (p *Provider) ownReplica(ctx context.Context, target plan.Target, name string) (*listed, error) {
	if err := p.mine(target); err != nil {
		return nil, err
	}
	containers, err := p.listContainers(ctx, target.Resource, activities.IdentityLabels(target))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(containers, func(c listed) bool { return c.name() == name })
	if at < 0 {
		return nil, nil
	}
	return &containers[at], nil
}

// Settle implements activities.ReplicaProvider.
func (p *Provider) Settle(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (schemas.Outputs, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return nil, err
	}
	if w.balancers, err = p.balancersOf(ctx, declared.Target); err != nil {
		return nil, err
	}
	if err := w.settle(ctx, say); err != nil {
		return nil, err
	}
	if err := p.guard(ctx, declared.Resource, w.guarded()); err != nil {
		return nil, err
	}
	return p.Outputs(declared)
}

// versionSuffix ends the names of all replicas of a version.
func versionSuffix(d plan.Desired) string {
	name := containerName(d, 0)
	return name[strings.LastIndex(name, "."):]
}
