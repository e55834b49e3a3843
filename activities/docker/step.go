package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/schemas"
)

// stepWorkloads are the init steps of a Compute: each is a job on the networks and
// volumes of the replica, that publishes no port.
func stepWorkloads(w *workload, c schemas.Compute, secrets activities.Secrets) ([]*workload, error) {
	steps := make([]*workload, len(c.InitSteps))
	for i, declared := range c.InitSteps {
		field := stepField(i)
		host := container.HostConfig{Resources: w.host.Resources, NetworkMode: w.host.NetworkMode, Mounts: w.host.Mounts}
		host.RestartPolicy.Name = container.RestartPolicyDisabled
		step := &workload{
			desired: w.desired, networks: w.networks, restart: schemas.RestartNever, job: true,
			step: declared.Name, imageField: field + ".image", host: &host,
			config: &container.Config{
				Image: declared.Image, StopTimeout: w.config.StopTimeout,
				Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
			},
		}
		if declared.Image == "" {
			step.imageField = w.imageField
			step.config.Image, step.config.User, step.config.WorkingDir = w.config.Image, w.config.User, w.config.WorkingDir
		}
		step.config.Labels = maps.Clone(w.config.Labels)
		step.config.Labels[activities.LabelStep] = declared.Name
		// These are about the replica.
		for _, label := range []string{activities.LabelHealth, activities.LabelEndState, activities.LabelSettings} {
			delete(step.config.Labels, label)
		}
		var err error
		if step.config.Entrypoint, err = revealAll(secrets, declared.Command); err != nil {
			return nil, err
		}
		if step.config.Cmd, err = revealAll(secrets, declared.Args); err != nil {
			return nil, err
		}
		if step.config.Env, err = environment(secrets, declared.Environment); err != nil {
			return nil, err
		}
		steps[i] = step
	}
	return steps, nil
}

func stepField(i int) string { return fmt.Sprintf("properties.initSteps[%d]", i) }

// stepImages are the images of the init steps that bring their own. Credentials
// are for the registry of the Compute's image and go to no other.
func stepImages(c schemas.Compute) []activities.Image {
	var images []activities.Image
	for i, step := range c.InitSteps {
		if step.Image == "" {
			continue
		}
		image := activities.Image{Reference: step.Image, Policy: c.PullPolicy, Field: stepField(i) + ".image"}
		if registryOf(step.Image) == registryOf(c.Image) {
			image.Credentials = c.RegistryCredentials
		}
		images = append(images, image)
	}
	return images
}

// registryOf is the registry of an image; pulling tells of a reference that is none.
func registryOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.Domain(named)
}

// separateSteps tells the containers of init steps from replicas.
func separateSteps(containers []listed) (steps, replicas []listed) {
	for _, c := range containers {
		if c.step() != "" {
			steps = append(steps, c)
		} else {
			replicas = append(replicas, c)
		}
	}
	return steps, replicas
}

// ownLeftovers are the containers of init steps of the declared replicas, by index.
// Stale ones are of another version, or of a replica that is not declared.
func (w *workload) ownLeftovers(steps []listed) (own map[int][]listed, stale []listed) {
	own = map[int][]listed{}
	for _, c := range steps {
		if i := c.index(); i >= 0 && i < w.replicas && c.Labels[activities.LabelSpec] == w.desired.SpecHash {
			own[i] = append(own[i], c)
		} else {
			stale = append(stale, c)
		}
	}
	return own, stale
}

// ownSteps are the containers of the replica's init steps, by their names.
func (r *replica) ownSteps() []listed {
	steps := make([]listed, len(r.workload.steps))
	for i, w := range r.workload.steps {
		name := w.containerName(r.index)
		steps[i] = listed{container.Summary{ID: name, Names: []string{name}}}
	}
	return steps
}

// runSteps runs the init steps, one after the other. One that an earlier call left
// is waited for, and is not repeated when it has ended well. One that fails is left
// as evidence; the next apply makes it anew.
func (r *replica) runSteps(ctx context.Context) error {
	for i, w := range r.workload.steps {
		step := &replica{provider: r.provider, workload: w, index: r.index, secrets: r.secrets, say: r.say}
		found, err := r.provider.inspect(ctx, w.desired.Resource, w.containerName(r.index))
		if err != nil {
			return err
		}
		id := ""
		if found != nil && owned(found.Config.Labels, w.desired.Target) && found.Config.Labels[activities.LabelSpec] == w.desired.SpecHash {
			id = found.ID
		}
		if err := step.ready(ctx, id); err != nil {
			return stepFault(err, stepField(i))
		}
	}
	return nil
}

// stepFault points a fault that is not about what the step has of the Compute at
// the step.
func stepFault(err error, field string) error {
	var f *activities.Fault
	if !errors.As(err, &f) {
		return err
	}
	located := *f
	switch located.Field {
	case "":
		located.Field = field
	case "properties.command":
		located.Field = field + ".command"
	}
	return &located
}

func (r *replica) removeSteps(ctx context.Context, steps []listed) error {
	for _, c := range steps {
		if err := r.provider.remove(ctx, r.workload.desired.Target, c, r.say); err != nil {
			return err
		}
	}
	return nil
}
