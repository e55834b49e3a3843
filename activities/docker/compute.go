package docker

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func (p *Provider) applyCompute(ctx context.Context, d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets, say activities.Progress) error {
	w, err := computeWorkload(d, outputs, secrets)
	if err != nil {
		return err
	}
	if err := p.requireVolumes(ctx, w); err != nil {
		return err
	}
	if w.balancers, err = p.balancersOf(ctx, d.Target); err != nil {
		return err
	}
	return p.applyWorkload(ctx, w, secrets, say)
}

// computeWorkload translates a Compute, with its secrets revealed.
func computeWorkload(d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets) (*workload, error) {
	c, err := decode[schemas.Compute](d)
	if err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	w, err := newWorkload(d, outputs, *c.Replicas, c.Networks, c.Resources, c.RestartPolicy, time.Duration(*c.StopGracePeriod))
	if err != nil {
		return nil, err
	}
	w.imageField = "properties.image"
	w.volumes = c.Volumes
	w.attach(c.SecurityGroups)
	w.config.Image = c.Image
	w.config.User = c.User
	w.config.WorkingDir = c.WorkingDir
	if w.config.Entrypoint, err = revealAll(secrets, c.Command); err != nil {
		return nil, err
	}
	if w.config.Cmd, err = revealAll(secrets, c.Args); err != nil {
		return nil, err
	}
	if w.config.Env, err = environment(secrets, c.Environment); err != nil {
		return nil, err
	}
	var mounts []mount.Mount
	for _, v := range c.Volumes {
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: v.Source, Target: v.MountPath, ReadOnly: v.ReadOnly})
	}
	if err := w.hold(mounts, c.Ports); err != nil {
		return nil, err
	}
	if c.EndState == schemas.EndStateCompleted {
		w.job = true
		w.exclusive = true // the old and the new version of a job do not run at once
		w.config.Labels[activities.LabelEndState] = string(c.EndState)
	}
	newProbe, err := computeProbe(w.config, c.Health, secrets)
	if err != nil {
		return nil, err
	}
	if err := w.watch(c.Health, newProbe); err != nil {
		return nil, err
	}
	w.steps, err = stepWorkloads(w, c, secrets)
	return w, err
}

// computeProbe is what runs the declared check. An image's own health check is
// switched off where the document declares none for the engine to run: the
// document decides what healthy means.
func computeProbe(config *container.Config, h *schemas.Health, secrets activities.Secrets) (func() probe, error) {
	config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	switch {
	case h == nil:
		return nil, nil
	case h.Exec == nil:
		return func() probe { return networkProbe(*h) }, nil
	}
	command, err := revealAll(secrets, h.Exec.Command)
	if err != nil {
		return nil, err
	}
	config.Healthcheck = &container.HealthConfig{
		Test:        append([]string{"CMD"}, command...),
		Interval:    time.Duration(*h.Interval),
		Timeout:     time.Duration(*h.Timeout),
		StartPeriod: time.Duration(*h.StartPeriod),
		Retries:     h.UnhealthyThreshold,
	}
	return func() probe { return &execProbe{} }, nil
}

func revealAll(secrets activities.Secrets, texts []string) ([]string, error) {
	if texts == nil {
		return nil, nil
	}
	revealed := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if revealed[i], err = secrets.Reveal(text); err != nil {
			return nil, err
		}
	}
	return revealed, nil
}

// environment is the list NAME=value, ordered by name.
func environment(secrets activities.Secrets, declared map[string]string) ([]string, error) {
	list := make([]string, 0, len(declared))
	for name, text := range declared {
		value, err := secrets.Reveal(text)
		if err != nil {
			return nil, err
		}
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list, nil
}

// applyWorkload brings the containers of a resource to the declared ones.
//
// Replicas that are new are started side by side. As soon as there are containers
// of another version, one replica after the other is moved, so that something
// serves all the time. Indexes that are not declared any more go last.
func (p *Provider) applyWorkload(ctx context.Context, w *workload, secrets activities.Secrets, say activities.Progress) error {
	t := w.desired.Target
	if w.guarded() {
		if err := p.requireFirewall(ctx, t.Resource); err != nil {
			return err
		}
	}
	existing, err := p.listContainers(ctx, t.Resource, activities.IdentityLabels(t))
	if err != nil {
		return err
	}
	parallel := -1
	byIndex := map[int][]listed{}
	var surplus []listed
	steps, existing := separateSteps(existing)
	leftovers, stale := w.ownLeftovers(steps)
	// One of another version may still run, and hold what the declared ones need.
	for _, c := range stale {
		if err := p.remove(ctx, t, c, say); err != nil {
			return err
		}
	}
	for _, c := range existing {
		if i := c.index(); i >= 0 && i < w.replicas {
			byIndex[i] = append(byIndex[i], c)
		} else {
			surplus = append(surplus, c)
		}
		if c.Labels[activities.LabelSpec] != w.desired.SpecHash {
			parallel = 1
		}
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for index := range w.replicas {
		r := &replica{provider: p, workload: w, index: index, leftovers: leftovers[index], secrets: secrets, say: say}
		group.Go(func() error {
			// With a limit of one, a failure must keep the next from being touched.
			if err := groupContext.Err(); err != nil {
				return err
			}
			return r.apply(groupContext, byIndex[index])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, c := range surplus {
		if err := w.leave(ctx, c.name(), say); err != nil {
			return err
		}
		if err := p.remove(ctx, t, c, say); err != nil {
			return err
		}
	}
	if err := w.settle(ctx, say); err != nil {
		return err
	}
	// The addresses of what was removed are free again, and those of what ran before
	// may have been changed by hand.
	return p.guard(ctx, t.Resource, w.guarded())
}
