package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// vigil watches a replica that was ready: it has to stay so.
type vigil struct {
	*replica
	probe probe
	// trusted says that it was seen to be well.
	trusted bool
	streak
	restarts int
	begun    bool
	lastLook time.Time
}

func (r *replica) vigil(trusted bool) *vigil {
	v := &vigil{replica: r, trusted: trusted}
	if r.workload.newProbe != nil {
		v.probe = r.workload.newProbe()
	}
	return v
}

// interval is how often a replica is looked at.
func (v *vigil) interval() time.Duration {
	if v.workload.health == nil {
		return stateInterval
	}
	return min(time.Duration(*v.workload.health.Interval), stateInterval)
}

// look returns a Fault of kind Unhealthy when the replica is not well any more.
func (v *vigil) look(ctx context.Context) error {
	w := v.workload
	c, err := v.provider.inspect(ctx, w.desired.Resource, w.containerName(v.index))
	if err != nil {
		return err
	}
	if c == nil {
		if !v.trusted {
			return nil
		}
		return &activities.Fault{Kind: activities.Unhealthy, Resource: w.desired.Resource, Message: v.title() + " was removed by something else"}
	}
	state := containerState(c.State, w.host.RestartPolicy.Name)
	if !v.begun {
		v.begun, v.restarts = true, c.RestartCount
	}
	// The fault of one that is given up is made as where it was waited for.
	verdict := &wait{replica: v.replica}
	switch {
	case state == plan.ContainerExited && c.State.ExitCode == 0 && w.health == nil && w.restart != schemas.RestartAlways:
		return nil
	case !v.trusted && (state != plan.ContainerRunning || c.RestartCount > v.restarts):
		v.restarts = c.RestartCount
		return nil
	case c.RestartCount > v.restarts:
		message := v.title() + " was ready, and the engine has restarted it since"
		if code, known := v.provider.lastExitCode(ctx, c); known {
			message += "; it " + verdict.end(code)
		}
		return verdict.fault(ctx, c, message, "")
	case state == plan.ContainerRestarting || state == plan.ContainerExited || state == plan.ContainerStopped:
		return verdict.fault(ctx, c, fmt.Sprintf("%s was ready, and %s", v.title(), verdict.end(c.State.ExitCode)), "")
	case state != plan.ContainerRunning:
		return verdict.fault(ctx, c, fmt.Sprintf("%s was ready, and is %s", v.title(), state), "")
	case v.probe == nil:
		v.trusted = true
		return nil
	case time.Since(v.lastLook) < time.Duration(*w.health.Interval):
		return nil
	}
	v.lastLook = time.Now()
	bounded, cancel := context.WithTimeout(ctx, time.Duration(*w.health.Timeout))
	defer cancel()
	result, detail := v.probe.look(bounded, c, address(c, w.networks))
	if ctx.Err() != nil {
		return fmt.Errorf("%s: watching %s: %w", w.desired.Resource, v.title(), ctx.Err())
	}
	v.add(result, !v.trusted)
	v.trusted = v.trusted || result == passed
	if v.fails < w.health.UnhealthyThreshold {
		return nil
	}
	verdict.detail = detail
	return verdict.fault(ctx, c, fmt.Sprintf("%s was ready, and failed %d health checks in a row: %s", v.title(), v.fails, detail), "properties.health")
}

// hold returns when a replica that is ready has stayed so for as long as the strategy
// says.
func (r *replica) hold(ctx context.Context, s schemas.Strategy) error {
	window := time.Duration(s.MinReadySeconds) * time.Second
	v := r.vigil(true)
	for begun := time.Now(); time.Since(begun) < window; {
		r.say(fmt.Sprintf("%s is ready, and has to stay so for %s", r.title(), window))
		if err := v.look(ctx); err != nil {
			return err
		}
		if err := pause(ctx, min(v.interval(), window), r.workload.desired.Resource+": watching "+r.title()); err != nil {
			return err
		}
	}
	return nil
}

// WatchReplicas implements activities.ReplicaProvider.
func (p *Provider) WatchReplicas(ctx context.Context, declared plan.Desired, known []int, secrets activities.Secrets, progress activities.Progress) (activities.UnhealthyReplica, error) {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return activities.UnhealthyReplica{}, err
	}
	say("watching the replicas of " + declared.Resource)
	vigils := make([]*vigil, w.replicas)
	for index := range vigils {
		r := &replica{provider: p, workload: w, index: index, secrets: secrets, say: say}
		vigils[index] = r.vigil(slices.Contains(known, index))
	}
	for {
		found, err := lookAtAll(ctx, vigils)
		if found.Fault != nil || err != nil {
			return found, err
		}
		// Not more often, whatever the interval of the check: looking at many replicas
		// takes the engine's time from those that are about to start.
		if err := pause(ctx, stateInterval, declared.Resource+": watching its replicas"); err != nil {
			return activities.UnhealthyReplica{}, err
		}
	}
}

// lookAtAll looks at replicas side by side and returns the first, by index, that is
// not well any more.
func lookAtAll(ctx context.Context, vigils []*vigil) (activities.UnhealthyReplica, error) {
	results := make([]error, len(vigils))
	var group errgroup.Group
	group.SetLimit(observationParallelism)
	for i, v := range vigils {
		group.Go(func() error {
			results[i] = v.look(ctx)
			return nil
		})
	}
	_ = group.Wait() // results has what each has found
	for index, err := range results {
		var fault *activities.Fault
		switch {
		case err == nil:
		case errors.As(err, &fault) && fault.Kind == activities.Unhealthy:
			return activities.UnhealthyReplica{Index: index, Fault: fault}, nil
		default:
			return activities.UnhealthyReplica{}, err
		}
	}
	return activities.UnhealthyReplica{}, nil
}
