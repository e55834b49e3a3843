package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/plan"
)

// checkup follows the health of a container through its runs, and goes on after it
// turned unhealthy.
type checkup struct {
	*replica
	probe  probe
	health plan.HealthState
	// started is when the run began that the counts are about.
	started time.Time
	streak
	lastLook time.Time
	detail   string
}

// newCheckup goes on from what is known of a run.
func (r *replica) newCheckup(started time.Time, known plan.HealthState) *checkup {
	k := &checkup{replica: r, health: known, started: started}
	if r.workload.newProbe != nil {
		k.probe = r.workload.newProbe()
	}
	if exec, ok := k.probe.(*execProbe); ok {
		exec.seen = started // the engine keeps the results of the run before
	}
	return k
}

// gap is the time between two looks. A start is looked at more often: most are over
// long before one interval. Later, the engine tells of what its own checks find.
func (k *checkup) gap() time.Duration {
	h := k.workload.health
	interval := time.Duration(*h.Interval)
	if k.health == plan.HealthStarting && (h.Exec != nil || k.passes == 0) {
		return min(interval, resultInterval)
	}
	return interval
}

// due is how long it is until the next look. One that does not run, or has no check, is
// not looked at for its health.
func (k *checkup) due(c *container.InspectResponse) time.Duration {
	if k.probe == nil || c == nil || c.State.Status != container.StateRunning {
		return k.provider.watchInterval
	}
	return max(0, k.gap()-time.Since(k.lastLook))
}

// look checks a container that runs, when it is time to.
func (k *checkup) look(ctx context.Context, c *container.InspectResponse) error {
	h := k.workload.health
	if h == nil {
		return nil
	}
	if began := startedAt(c); !began.Equal(k.started) {
		*k = *k.newCheckup(began, plan.HealthStarting)
	}
	if k.due(c) > 0 {
		return nil
	}
	k.lastLook = time.Now()
	bounded, cancel := context.WithTimeout(ctx, time.Duration(*h.Timeout))
	defer cancel()
	result, detail := k.probe.look(bounded, c, address(c, k.workload.networks))
	if ctx.Err() != nil {
		return fmt.Errorf("%s: checking its health: %w", k.workload.desired.Resource, ctx.Err())
	}
	k.detail = detail
	tolerated := k.health == plan.HealthStarting && time.Since(k.started) < time.Duration(*h.StartPeriod)
	k.add(result, tolerated)
	switch {
	case k.passes >= h.HealthyThreshold:
		k.health = plan.HealthHealthy
	case k.fails >= h.UnhealthyThreshold:
		k.health = plan.HealthUnhealthy
	}
	return nil
}
