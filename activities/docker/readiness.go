package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	// firstLook is how soon a starting replica is looked at again. The time doubles
	// up to the check's interval: most replicas are ready long before one interval.
	firstLook = 50 * time.Millisecond
	// stateInterval is how often the state of a replica is read at least.
	stateInterval = time.Second
	// settling is how long a replica without a check must run. Most of those that
	// cannot run, for want of a setting or a file, end sooner.
	settling = 250 * time.Millisecond
	// resultInterval is how often the results of the engine's own check are read.
	resultInterval = 500 * time.Millisecond
	// revival is how long a container may be exited before it is believed that the
	// engine, whose job it is, does not restart it.
	revival = 10 * time.Second
)

// wait follows one container until it is ready or is given up.
type wait struct {
	*replica
	// adopted says that an earlier call started the container.
	adopted bool
	probe   probe
	// The start period ends at tolerant; from then on failing checks count.
	tolerant, deadline time.Time
	// restarts is the engine's count when the wait began.
	restarts int
	begun    time.Time
	streak
	exitedSince time.Time
	// givenUp is when, reason why, and field what in the document says so.
	givenUp       time.Time
	reason, field string
	// poll is the time between two readings of the state, gap that between two looks.
	poll, gap time.Duration
	lastLook  time.Time
	detail    string
}

// await returns nil once the container is ready. Otherwise it returns a Fault of
// kind Unhealthy with evidence, as soon as it is sure.
func (r *replica) await(ctx context.Context, id string, adopted bool) error {
	w := &wait{replica: r, adopted: adopted, poll: firstLook / 2, gap: firstLook}
	for first := true; ; first = false {
		c, err := r.provider.inspect(ctx, r.workload.desired.Resource, id)
		if err != nil {
			return err
		}
		if c == nil {
			return &activities.Fault{Kind: activities.Unavailable, Resource: r.workload.desired.Resource,
				Message: r.title() + " was removed by something else while it was waited for"}
		}
		if first {
			w.begin(c)
		}
		ready, err := w.step(ctx, c)
		if ready || err != nil {
			return err
		}
		r.say("waiting for " + r.title() + ": " + r.secrets.Redact(w.detail))
		if err := pause(ctx, w.next(), r.workload.desired.Resource+": waiting for "+r.title()); err != nil {
			return err
		}
	}
}

func (w *wait) begin(c *container.InspectResponse) {
	now := time.Now()
	w.begun = now
	if w.adopted {
		w.restarts = c.RestartCount
	}
	h := w.workload.health
	if h == nil {
		w.tolerant, w.deadline = now, now.Add(schemas.Health{}.Deadline())
		return
	}
	w.probe = w.workload.newProbe()
	w.deadline = now.Add(h.Deadline())
	w.tolerant = now.Add(time.Duration(*h.StartPeriod))
	if started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil && w.adopted && started.Before(now) {
		w.tolerant = started.Add(time.Duration(*h.StartPeriod))
	}
}

// next is how long to wait before the next step.
func (w *wait) next() time.Duration {
	w.poll = min(2*w.poll, stateInterval)
	if due := w.gap - time.Since(w.lastLook); due > 0 {
		return min(due, w.poll)
	}
	return w.poll
}

// step looks once: at the state, and when the container runs at its health.
func (w *wait) step(ctx context.Context, c *container.InspectResponse) (ready bool, err error) {
	state := containerState(c.State, w.workload.host.RestartPolicy.Name)
	if restarts := c.RestartCount - w.restarts; restarts >= patientRestarts && w.givenUp.IsZero() {
		w.giveUp(fmt.Sprintf("%s was restarted %d times and did not become healthy", w.title(), restarts), "")
	}
	if !w.givenUp.IsZero() {
		return false, w.verdict(ctx, c, state)
	}
	if state != plan.ContainerExited && state != plan.ContainerStopped {
		w.exitedSince = time.Time{}
	}
	switch state {
	case plan.ContainerRunning:
		if w.workload.job {
			w.detail = "it is at work"
			return false, nil
		}
		if w.workload.health == nil {
			w.detail = "it has just started"
			return time.Since(w.begun) >= settling, nil
		}
		if ready, err := w.check(ctx, c); ready || err != nil {
			return ready, err
		}
	case plan.ContainerRestarting:
		if w.workload.health == nil && c.State.ExitCode != 0 {
			return false, w.fault(ctx, c, w.title()+" "+w.end(c.State.ExitCode), "")
		}
		w.passes, w.detail = 0, fmt.Sprintf("the engine restarts it after exit code %d", c.State.ExitCode)
	case plan.ContainerExited, plan.ContainerStopped:
		return w.ended(ctx, c)
	default:
		w.passes, w.detail = 0, "it is "+string(c.State.Status)
	}
	if time.Now().After(w.deadline) && w.fails == 0 {
		w.giveUp(w.title()+" did not become healthy in time", "properties.health")
	}
	return false, nil
}

func (w *wait) giveUp(reason, field string) {
	w.givenUp, w.reason, w.field = time.Now(), reason, field
}

// verdict is the Fault of a container that is given up, with its exit code where its end is the reason. The engine
// may not know of the end yet, and of one that it has restarted it has forgotten the code, until the next end.
func (w *wait) verdict(ctx context.Context, c *container.InspectResponse, state plan.ContainerState) error {
	patience := w.provider.endPatience
	if c.RestartCount > w.restarts {
		patience = max(patience, revival)
	}
	switch state {
	case plan.ContainerRestarting, plan.ContainerExited, plan.ContainerStopped:
		return w.fault(ctx, c, w.reason+"; it "+w.end(c.State.ExitCode), "")
	case plan.ContainerRunning:
		if time.Since(w.givenUp) < patience {
			return nil
		}
	}
	return w.fault(ctx, c, w.reason, w.field)
}

// ended decides on a container that does not run. The engine may be about to
// restart it; if it is not, a container that had to become healthy has failed.
func (w *wait) ended(ctx context.Context, c *container.InspectResponse) (ready bool, err error) {
	code := c.State.ExitCode
	final := w.workload.restart == schemas.RestartNever || w.workload.restart == schemas.RestartOnFailure && code == 0
	switch {
	case w.workload.health == nil && final && code == 0:
		return true, nil
	case w.workload.health == nil:
		return false, w.fault(ctx, c, w.title()+" "+w.end(code), "")
	case final:
		return false, w.fault(ctx, c, fmt.Sprintf("%s %s before it was healthy", w.title(), w.end(code)), "")
	case w.exitedSince.IsZero():
		w.exitedSince = time.Now()
	case time.Since(w.exitedSince) > revival:
		return false, w.fault(ctx, c, fmt.Sprintf("%s %s before it was healthy, and the engine did not restart it", w.title(), w.end(code)), "")
	}
	w.passes, w.detail = 0, fmt.Sprintf("it ended with exit code %d", code)
	return false, nil
}

// check looks at the health of a running container, when it is time to.
func (w *wait) check(ctx context.Context, c *container.InspectResponse) (ready bool, err error) {
	h := w.workload.health
	if time.Since(w.lastLook) < w.gap {
		return false, nil
	}
	w.lastLook = time.Now()
	tolerated := w.lastLook.Before(w.tolerant)
	bounded, cancel := context.WithTimeout(ctx, time.Duration(*h.Timeout))
	defer cancel()
	v, detail := w.probe.look(bounded, c, address(c, w.workload.networks))
	if ctx.Err() != nil {
		return false, fmt.Errorf("%s: waiting for %s: %w", w.workload.desired.Resource, w.title(), ctx.Err())
	}
	w.detail = detail
	w.add(v, tolerated)
	interval := time.Duration(*h.Interval)
	switch {
	case w.passes >= h.HealthyThreshold:
		return true, nil
	case w.fails >= h.UnhealthyThreshold:
		w.giveUp(fmt.Sprintf("%s failed %d health checks in a row: %s", w.title(), w.fails, detail), "properties.health")
	case h.Exec != nil:
		// The engine keeps to the interval; this is only reading its results.
		w.gap = min(interval, resultInterval)
	case w.passes == 0 && tolerated:
		w.gap = min(2*w.gap, interval)
	default:
		w.gap = interval
	}
	return false, nil
}

// end tells how a container ended. An engine that is busy can miss that want of
// memory was the reason, so that a limit is named wherever it may have been.
func (w *wait) end(code int) string {
	text := fmt.Sprintf("ended with exit code %d", code)
	if limit := w.workload.host.Memory; code == killed && limit > 0 {
		text += fmt.Sprintf(" (SIGKILL, as when it needs more than its memory limit of %s)", units.BytesSize(float64(limit)))
	}
	return text
}

// fault is the Fault of a replica that is given up, with what was found at it.
func (w *wait) fault(ctx context.Context, c *container.InspectResponse, message, field string) error {
	f := w.failure(ctx, c, message, field)
	f.Hint = "read the evidence; the container is kept until the next deployment"
	return f
}

// failure is that of a container, with what was found at it.
func (w *wait) failure(ctx context.Context, c *container.InspectResponse, message, field string) *activities.Fault {
	return &activities.Fault{
		Kind: activities.Unhealthy, Resource: w.workload.desired.Resource, Field: field,
		Message:  w.secrets.Redact(message),
		Evidence: w.provider.evidence(ctx, c, w.workload, w.secrets, w.detail),
	}
}
