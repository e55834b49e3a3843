package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// patientRestarts is after how many restarts by the engine a replica that never
// became healthy is given up.
const patientRestarts = 3

// replica brings one index of a workload to its declared container.
type replica struct {
	provider *Provider
	workload *workload
	index    int
	// leftovers are containers of init steps that an earlier call did not remove.
	leftovers []listed
	// avoid are addresses that turned out to be taken.
	avoid   map[netip.Addr]bool
	secrets activities.Secrets
	say     activities.Progress
}

// apply leaves one container for the index: the declared one, ready. The new
// container is healthy before those of other versions end, unless both need the
// same volume or port: then the others are stopped first, but kept until the new
// one is healthy. A new container that fails is left as evidence; the next apply
// makes it anew, or removes it when it is of another version by then.
func (r *replica) apply(ctx context.Context, existing []listed) error {
	w, p := r.workload, r.provider
	var (
		wanted string
		others []listed
	)
	for _, c := range existing {
		if c.name() == w.containerName(r.index) && c.Labels[activities.LabelSpec] == w.desired.SpecHash {
			wanted = c.ID
		} else {
			others = append(others, c)
		}
	}
	if w.exclusive {
		for _, c := range others {
			if !c.running() {
				continue
			}
			if err := r.leave(ctx, c.name()); err != nil {
				return err
			}
			if err := p.stop(ctx, w.desired.Resource, c, r.say); err != nil {
				return err
			}
		}
	}
	if err := r.ready(ctx, wanted); err != nil {
		return err
	}
	if err := r.join(ctx); err != nil {
		return err
	}
	for _, c := range others {
		if err := r.leave(ctx, c.name()); err != nil {
			return err
		}
		if err := p.remove(ctx, w.desired.Target, c, r.say); err != nil {
			return err
		}
	}
	return nil
}

// ready returns when the declared container is ready. One that was there before
// (id is not empty) and turns out to be unwell is made anew once.
func (r *replica) ready(ctx context.Context, id string) error {
	if id != "" {
		// It was made, so they are done; one that is made in its place repeats them.
		if err := r.removeSteps(ctx, r.leftovers); err != nil {
			return err
		}
		adopted, err := r.adopt(ctx, id)
		if err != nil {
			return err
		}
		if adopted {
			if err := r.await(ctx, id, true); !activities.IsKind(err, activities.Unhealthy) {
				return err
			}
		}
		if err := r.discard(ctx, id); err != nil {
			return err
		}
	}
	id, err := r.make(ctx)
	if err != nil {
		return err
	}
	return r.await(ctx, id, false)
}

// adopt gets a container of an earlier call to run, or reports that it is to be
// made anew: it failed, or cannot be started any more.
func (r *replica) adopt(ctx context.Context, id string) (bool, error) {
	w, p := r.workload, r.provider
	c, err := p.inspect(ctx, w.desired.Resource, id)
	if err != nil || c == nil {
		return false, err
	}
	switch containerState(c.State, w.host.RestartPolicy.Name) {
	case plan.ContainerExited:
		// A job that is done is not done again.
		return w.job && c.State.ExitCode == 0 && c.State.Error == "", nil
	case plan.ContainerRunning:
		if w.health != nil && w.health.Exec != nil && c.State.Health != nil && c.State.Health.Status == container.Unhealthy {
			return false, nil
		}
		return r.mend(ctx, c)
	case plan.ContainerPaused:
		if err := r.resume(ctx, id); err != nil {
			return false, err
		}
		return true, nil
	case plan.ContainerRestarting:
		return c.RestartCount < patientRestarts, nil
	case plan.ContainerCreated, plan.ContainerStopped:
		release, err := p.slot(ctx, r.title(), r.say)
		if err != nil {
			return false, err
		}
		defer release()
		err = r.start(ctx, id)
		if errors.Is(err, errAddressTaken) || activities.IsKind(err, activities.NotFound) || activities.IsKind(err, activities.Invalid) {
			// What it was made with, such as its network or address, is gone.
			return false, nil
		}
		if err != nil && r.gone(ctx, id) {
			return false, nil
		}
		return true, err
	default:
		return false, nil
	}
}

// resume has a container go on that was paused.
func (r *replica) resume(ctx context.Context, id string) error {
	r.say(r.title() + ": resuming")
	_, err := settle(ctx, func(ctx context.Context) (client.ContainerUnpauseResult, error) {
		return r.provider.engine.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	})
	if err != nil {
		return engineFault(ctx, r.workload.desired.Resource, "resume "+r.title(), err)
	}
	return nil
}

// join has the balancers pass requests to the declared container.
func (r *replica) join(ctx context.Context) error {
	for _, b := range r.workload.balancers {
		r.say(fmt.Sprintf("taking %s into %s", r.title(), b.target.Resource))
		if err := b.join(ctx, r.workload.containerName(r.index), r.say); err != nil {
			return err
		}
	}
	return nil
}

// leave has the balancers pass no more requests to a container, and waits for those
// that it has.
func (r *replica) leave(ctx context.Context, name string) error {
	return r.workload.leave(ctx, name, r.say)
}

// discard removes the declared container, so that it can be made anew.
func (r *replica) discard(ctx context.Context, id string) error {
	if err := r.leave(ctx, r.workload.containerName(r.index)); err != nil {
		return err
	}
	c := listed{container.Summary{ID: id, Names: []string{r.workload.containerName(r.index)}, State: container.StateRunning}}
	return r.provider.remove(ctx, r.workload.desired.Target, c, r.say)
}

// make creates and starts the declared container. One that a lost answer left
// behind is adopted.
func (r *replica) make(ctx context.Context) (string, error) {
	if err := r.runSteps(ctx); err != nil {
		return "", err
	}
	release, err := r.provider.slot(ctx, r.title(), r.say)
	if err != nil {
		return "", err
	}
	defer release()
	for {
		r.say(fmt.Sprintf("creating %s", r.title()))
		id, err := r.create(ctx)
		if err == nil {
			err = r.begin(ctx, id)
		}
		if err != nil && id != "" && r.gone(ctx, id) {
			r.say(r.title() + " was removed by somebody else before it ran")
			continue
		}
		if !errors.Is(err, errAddressTaken) {
			return id, err
		}
		r.say("an address of " + r.title() + " is taken by something else")
		if err := r.giveUpAddresses(ctx, id); err != nil {
			return "", err
		}
	}
}

// gone says whether a container is removed, or about to be: another call for the
// same resource found that it cannot have its addresses.
func (r *replica) gone(ctx context.Context, id string) bool {
	c, err := r.provider.inspect(ctx, r.workload.desired.Resource, id)
	return err == nil && (c == nil || c.State.Status == container.StateRemoving || c.State.Status == container.StateDead)
}

// create creates the declared container and returns its id.
func (r *replica) create(ctx context.Context) (string, error) {
	w, p := r.workload, r.provider
	var address netip.Addr
	if len(w.networks) > 0 {
		chosen, release, err := p.chooseAddress(ctx, w.desired.Resource, w.networks[0], w.containerName(r.index), r.avoid)
		defer release()
		if err == nil && w.guarded() {
			err = p.requireFixed(w.desired.Resource, w.networks[0], chosen)
		}
		if activities.IsKind(err, activities.NotFound) {
			return "", r.missingNetwork(0, err)
		}
		if err != nil {
			return "", err
		}
		address = chosen
	}
	options := w.create(r.index, address)
	for {
		made, err := settle(ctx, func(ctx context.Context) (client.ContainerCreateResult, error) {
			return p.engine.ContainerCreate(ctx, options)
		})
		if err == nil {
			p.logger.Info("created container", "container", options.Name, "image", options.Config.Image)
			return made.ID, nil
		}
		if !errdefs.IsConflict(err) && !containsAny(err.Error(), "is already in use by") {
			return "", r.createFault(ctx, err)
		}
		found, inspectErr := p.inspect(ctx, w.desired.Resource, options.Name)
		switch {
		case inspectErr != nil:
			return "", inspectErr
		case found != nil && (!owned(found.Config.Labels, w.desired.Target) || found.Config.Labels[activities.LabelSpec] != w.desired.SpecHash):
			return "", foreign(w.desired.Resource, "container", options.Name)
		case found != nil && found.State.Status != container.StateRemoving && found.State.Status != container.StateDead:
			return found.ID, nil
		}
		r.say("waiting until the former " + r.title() + " is removed")
		if err := pause(ctx, releaseInterval, w.desired.Resource); err != nil {
			return "", err
		}
	}
}

// giveUpAddresses removes a container that cannot have its addresses, so that the
// next one gets others.
func (r *replica) giveUpAddresses(ctx context.Context, id string) error {
	c, err := r.provider.inspect(ctx, r.workload.desired.Resource, id)
	if err != nil {
		return err
	}
	if r.avoid == nil {
		r.avoid = map[netip.Addr]bool{}
	}
	if c != nil && c.NetworkSettings != nil {
		for _, e := range c.NetworkSettings.Networks {
			r.avoid[fixedAddress(e)] = true
		}
	}
	return r.discard(ctx, id)
}

// begin starts a container that was just made. Its init steps are kept until then:
// whoever finds them ended, and no replica, does not repeat them.
func (r *replica) begin(ctx context.Context, id string) error {
	if err := r.removeSteps(ctx, r.ownSteps()); err != nil {
		return err
	}
	if prepare := r.workload.prepare; prepare != nil {
		if err := prepare(ctx, id, r.workload.containerName(r.index)); err != nil {
			return err
		}
	}
	return r.start(ctx, id)
}

// start joins the container to its networks and starts it.
func (r *replica) start(ctx context.Context, id string) error {
	w, p := r.workload, r.provider
	joined, err := r.joined(ctx, id)
	if err != nil {
		return err
	}
	for i := 1; i < len(w.networks); i++ {
		name := w.networks[i]
		if joined[name] != nil {
			continue // connected again, it would get another address
		}
		err := p.join(ctx, w.desired.Resource, r.joining(name, id))
		if activities.IsKind(err, activities.NotFound) || err != nil && noNetwork.MatchString(err.Error()) {
			return r.missingNetwork(i, err)
		}
		if err != nil {
			return err
		}
	}
	if err := p.guard(ctx, w.desired.Resource, w.guarded()); err != nil {
		return err
	}
	r.say("starting " + r.title())
	_, err = settle(ctx, func(ctx context.Context) (client.ContainerStartResult, error) {
		return p.engine.ContainerStart(ctx, id, client.ContainerStartOptions{})
	})
	if err != nil && addressTaken.MatchString(err.Error()) {
		return errAddressTaken
	}
	if err != nil {
		return r.startFault(ctx, err)
	}
	return nil
}

// joined are the networks that a container is on. Nobody asks the engine where it
// was given all of them when it was created.
func (r *replica) joined(ctx context.Context, id string) (map[string]*network.EndpointSettings, error) {
	if len(r.workload.networks) <= 1 {
		return nil, nil
	}
	c, err := r.provider.inspect(ctx, r.workload.desired.Resource, id)
	if err != nil || c == nil || c.NetworkSettings == nil {
		return nil, err
	}
	return c.NetworkSettings.Networks, nil
}

func (r *replica) joining(name, id string) joining {
	w := r.workload
	return joining{network: name, id: id, name: w.containerName(r.index), aliases: w.networkAliases(name, r.index), guarded: w.guarded()}
}

// title names the replica in messages to people.
func (r *replica) title() string {
	if r.workload.desired.Infrastructure == schemas.ContainersName && r.workload.step == "" {
		return "the container"
	}
	if r.workload.step != "" {
		return fmt.Sprintf("init step %s of replica %d", r.workload.step, r.index)
	}
	return fmt.Sprintf("replica %d", r.index)
}
