package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
)

var _ activities.ContainerRuntime = (*Provider)(nil)

// single is the workload of a single container. It never runs twice, and one that was
// stopped is not started again by the engine's own restart.
func (p *Provider) single(ctx context.Context, d plan.Desired, secrets activities.Secrets, say activities.Progress) (*replica, error) {
	w, err := p.version(ctx, d, secrets)
	if err != nil {
		return nil, err
	}
	w.exclusive = true
	if err := w.restarts(); err != nil {
		return nil, err
	}
	return &replica{provider: p, workload: w, secrets: secrets, say: say}, nil
}

// singleMove changes the container of a declaration, which is nil when there is none.
type singleMove func(ctx context.Context, r *replica, found *container.InspectResponse) error

// moveSingle changes a container, one call after the other, and returns how it is then.
func (p *Provider) moveSingle(ctx context.Context, d plan.Desired, secrets activities.Secrets, progress activities.Progress, move singleMove) (activities.ContainerCondition, error) {
	var none activities.ContainerCondition
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, d.Target, say)
	if err != nil {
		return none, err
	}
	defer unlock()
	r, err := p.single(ctx, d, secrets, say)
	if err != nil {
		return none, err
	}
	found, err := r.found(ctx)
	if err != nil {
		return none, err
	}
	if err := move(ctx, r, found); err != nil {
		return none, err
	}
	if found, err = r.found(ctx); err != nil {
		return none, err
	}
	return r.condition(found, nil), nil
}

// found is the declared container; nil when there is none.
func (r *replica) found(ctx context.Context) (*container.InspectResponse, error) {
	d := r.workload.desired
	c, err := r.provider.inspect(ctx, d.Resource, r.workload.containerName(r.index))
	if err != nil || c == nil {
		return nil, err
	}
	if !owned(c.Config.Labels, d.Target) {
		return nil, foreign(d.Resource, "container", strings.TrimPrefix(c.Name, "/"))
	}
	return c, nil
}

// CreateContainer implements activities.ContainerRuntime.
func (p *Provider) CreateContainer(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (activities.ContainerCondition, error) {
	return p.moveSingle(ctx, declared, secrets, progress, func(ctx context.Context, r *replica, found *container.InspectResponse) error {
		if found != nil {
			return nil
		}
		if err := p.requireVolumes(ctx, r.workload); err != nil {
			return err
		}
		if err := r.runSteps(ctx); err != nil {
			return err
		}
		release, err := p.slot(ctx, r.title(), r.say)
		if err != nil {
			return err
		}
		defer release()
		r.say("creating " + r.title())
		_, err = r.create(ctx)
		return err
	})
}

// StartContainer implements activities.ContainerRuntime.
func (p *Provider) StartContainer(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (activities.ContainerCondition, error) {
	return p.moveSingle(ctx, declared, secrets, progress, func(ctx context.Context, r *replica, found *container.InspectResponse) error {
		existing, err := p.listContainers(ctx, declared.Resource, activities.IdentityLabels(declared.Target))
		if err != nil {
			return err
		}
		steps, existing := separateSteps(existing)
		_, others := r.workload.ownLeftovers(steps) // steps of other versions go too
		var ran []listed
		for _, c := range existing {
			if c.name() == r.workload.containerName(r.index) {
				continue
			}
			others = append(others, c)
			if !c.running() {
				continue
			}
			ran = append(ran, c)
			if err := p.stop(ctx, declared.Resource, c, r.say); err != nil {
				return err
			}
		}
		if err := r.launch(ctx, found); err != nil {
			return r.goBack(ctx, ran, err)
		}
		for _, c := range others {
			if err := p.remove(ctx, declared.Target, c, r.say); err != nil {
				return err
			}
		}
		return p.guard(ctx, declared.Resource, r.workload.guarded())
	})
}

// launch has the container run, and makes it where it is gone.
func (r *replica) launch(ctx context.Context, found *container.InspectResponse) error {
	if found == nil {
		_, err := r.make(ctx)
		return err
	}
	switch found.State.Status {
	case container.StateRunning, container.StateRestarting:
		return nil
	case container.StatePaused:
		return r.resume(ctx, found.ID)
	}
	release, err := r.provider.slot(ctx, r.title(), r.say)
	if err != nil {
		return err
	}
	err = r.begin(ctx, found.ID)
	release()
	if errors.Is(err, errAddressTaken) {
		if err := r.giveUpAddresses(ctx, found.ID); err != nil {
			return err
		}
		_, err = r.make(ctx)
	}
	return err
}

// goBack has what ran before a start that failed for good run again.
func (r *replica) goBack(ctx context.Context, ran []listed, failure error) error {
	if len(ran) == 0 || activities.IsKind(failure, activities.Unavailable) || ctx.Err() != nil {
		return failure
	}
	d, name := r.workload.desired, r.workload.containerName(r.index)
	own := listed{container.Summary{ID: name, Names: []string{name}}}
	if err := r.provider.remove(ctx, d.Target, own, r.say); err != nil {
		return err
	}
	for _, c := range ran {
		r.say("starting " + c.name() + " again")
		_, err := settle(ctx, func(ctx context.Context) (client.ContainerStartResult, error) {
			return r.provider.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
		})
		if err != nil {
			return engineFault(ctx, d.Resource, "start "+c.name()+" again", err)
		}
	}
	return failure
}

// StopContainer implements activities.ContainerRuntime.
func (p *Provider) StopContainer(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (activities.ContainerCondition, error) {
	return p.moveSingle(ctx, declared, secrets, progress, func(ctx context.Context, r *replica, found *container.InspectResponse) error {
		if found == nil {
			return nil
		}
		name := r.workload.containerName(r.index)
		return p.stop(ctx, declared.Resource, listed{container.Summary{ID: found.ID, Names: []string{name}}}, r.say)
	})
}

// PauseContainer implements activities.ContainerRuntime.
func (p *Provider) PauseContainer(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (activities.ContainerCondition, error) {
	return p.moveSingle(ctx, declared, secrets, progress, func(ctx context.Context, r *replica, found *container.InspectResponse) error {
		if found != nil && found.State.Status == container.StatePaused {
			return nil
		}
		if found == nil || found.State.Status != container.StateRunning {
			return notRunning(declared, found)
		}
		r.say("pausing " + r.title())
		_, err := settle(ctx, func(ctx context.Context) (client.ContainerPauseResult, error) {
			return p.engine.ContainerPause(ctx, found.ID, client.ContainerPauseOptions{})
		})
		if errdefs.IsConflict(err) { // it has ended meanwhile
			return notRunning(declared, nil)
		}
		if err != nil {
			return engineFault(ctx, declared.Resource, "pause it", err)
		}
		return nil
	})
}

// ResumeContainer implements activities.ContainerRuntime.
func (p *Provider) ResumeContainer(ctx context.Context, declared plan.Desired, secrets activities.Secrets, progress activities.Progress) (activities.ContainerCondition, error) {
	return p.moveSingle(ctx, declared, secrets, progress, func(ctx context.Context, r *replica, found *container.InspectResponse) error {
		switch {
		case found != nil && found.State.Status == container.StateRunning:
			return nil
		case found == nil || found.State.Status != container.StatePaused:
			return notRunning(declared, found)
		}
		return r.resume(ctx, found.ID)
	})
}

func notRunning(d plan.Desired, found *container.InspectResponse) error {
	state := "there is none"
	if found != nil {
		state = "it is " + string(found.State.Status)
	}
	return &activities.Fault{Kind: activities.Conflict, Resource: d.Resource,
		Message: "the container does not run: " + state, Hint: "start it first"}
}

// condition is how a container is. The check says how healthy; without one that is not
// looked at.
func (r *replica) condition(c *container.InspectResponse, check *checkup) activities.ContainerCondition {
	if c == nil || c.State.Status == container.StateRemoving || c.State.Status == container.StateDead {
		return activities.ContainerCondition{}
	}
	now := activities.ContainerCondition{
		ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Image: c.Config.Image,
		State: containerState(c.State, restartPolicy(c)), Health: plan.HealthNone, StartedAt: startedAt(c),
	}
	if now.State == plan.ContainerExited || now.State == plan.ContainerStopped {
		now.ExitCode = &c.State.ExitCode
	}
	switch {
	case r.workload.health == nil || !now.Up():
	case check != nil:
		now.Health = check.health
	default:
		now.Health = plan.HealthStarting
	}
	return now
}

// startedAt is when the container's newest run began; zero is a container that never ran.
func startedAt(c *container.InspectResponse) time.Time {
	started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil || started.Year() <= 1 {
		return time.Time{}
	}
	return started
}

// requireVolumes refuses a workload whose volumes are not there: the engine would make
// them, without labels.
func (p *Provider) requireVolumes(ctx context.Context, w *workload) error {
	for i, v := range w.volumes {
		found, err := p.volume(ctx, w.desired.Resource, v.Source)
		if err != nil {
			return err
		}
		if found == nil {
			return &activities.Fault{Kind: activities.NotFound, Resource: w.desired.Resource, Field: fmt.Sprintf("properties.volumes[%d].source", i),
				Message: fmt.Sprintf("there is no volume named %q", v.Source),
				Hint:    "refer to a Storage with ${name.name}, or make the volume first"}
		}
	}
	return nil
}

// ended is what is told of a run that is over: the exit code, when somebody knows it,
// and the evidence where that is not 0.
func (r *replica) ended(ctx context.Context, c *container.InspectResponse) (*int, *activities.Fault) {
	c = r.provider.settled(ctx, c, r.workload)
	code, known := r.provider.lastExitCode(ctx, c)
	if !known {
		return nil, nil
	}
	if code == 0 && c.State.Error == "" {
		return &code, nil
	}
	verdict := &wait{replica: r}
	return &code, verdict.failure(ctx, c, "the container "+verdict.end(code), "")
}
