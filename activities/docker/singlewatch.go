package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/plan"
)

// WatchContainer implements activities.ContainerRuntime. It looks when the engine tells
// of the container, when a check is due, and from time to time anyway.
func (p *Provider) WatchContainer(ctx context.Context, declared plan.Desired, known activities.ContainerCondition, secrets activities.Secrets, progress activities.Progress) (activities.ContainerReport, error) {
	var report activities.ContainerReport
	say, stop := activities.Narrate(progress)
	defer stop()
	r, err := p.single(ctx, declared, secrets, say)
	if err != nil {
		return report, err
	}
	// Followed before it is looked at, so that nothing lies between the two.
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	stirred := p.follow(following, declared.Target)
	check := r.newCheckup(known.StartedAt, known.Health)
	for {
		c, err := r.found(ctx)
		if err != nil {
			return report, err
		}
		if c != nil {
			if err := check.look(ctx, c); err != nil {
				return report, err
			}
		}
		if now := r.condition(c, check); !now.Same(known) {
			return r.report(ctx, known, now, c, check), nil
		}
		say(fmt.Sprintf("watching %s: %s, %s", declared.Resource, known.State, known.Health))
		wait := time.NewTimer(min(check.due(c), p.watchInterval))
		select {
		case <-stirred:
		case <-wait.C:
		case <-ctx.Done():
			err = fmt.Errorf("%s: watching the container: %w", declared.Resource, ctx.Err())
		}
		wait.Stop()
		if err != nil {
			return report, err
		}
	}
}

// report says how a container got from one condition to the next.
func (r *replica) report(ctx context.Context, known, now activities.ContainerCondition, c *container.InspectResponse, check *checkup) activities.ContainerReport {
	report := activities.ContainerReport{Condition: now}
	switch {
	case known.Ended(now):
		report.ExitCode, report.Fault = r.ended(ctx, c)
	case now.Health == plan.HealthUnhealthy && known.Health != plan.HealthUnhealthy:
		verdict := &wait{replica: r, detail: check.detail}
		message := fmt.Sprintf("the container failed %d health checks in a row: %s", check.fails, check.detail)
		report.Fault = verdict.failure(ctx, c, message, "properties.health")
	}
	return report
}
