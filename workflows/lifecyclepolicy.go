package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

var zeroTime time.Time

// schedule decides when the unhealthy policy acts on a container that is unhealthy, or
// was removed by somebody else.
func (l *lifecycle) schedule(ctx workflow.Context) {
	now := workflow.Now(ctx)
	switch l.Policy.UnhealthyPolicy {
	case schemas.UnhealthyNone:
		return
	case schemas.UnhealthyStop:
		if l.Known.Exists() {
			l.Due = now
		}
		return
	}
	if !l.HealthySince.IsZero() && now.Sub(l.HealthySince) >= time.Duration(l.Policy.RestartBackoff.Reset) {
		l.Restarts = 0
	}
	l.HealthySince = zeroTime
	l.Due = now.Add(l.Policy.RestartBackoff.Delay(l.Restarts))
}

// heal does what the unhealthy policy says.
func (l *lifecycle) heal(ctx workflow.Context) {
	l.Due = zeroTime
	var err error
	breaker := l.work(ctx, "heal", func(ctx workflow.Context) { err = l.act(ctx) })
	if err != nil && breaker.ID == "" {
		l.fail(ctx, "the unhealthy policy could not act, and tries again", err)
		l.Due = workflow.Now(ctx).Add(l.Policy.RestartBackoff.Delay(max(1, l.Restarts)))
	}
}

func (l *lifecycle) act(ctx workflow.Context) error {
	cause := "it was unhealthy"
	if !l.Known.Exists() {
		cause = "it was gone"
	}
	if l.Policy.UnhealthyPolicy == schemas.UnhealthyStop {
		return l.stop(ctx, cause)
	}
	l.Restarts++
	if l.Known.Exists() && l.Policy.UnhealthyPolicy == schemas.UnhealthyRestart {
		if err := l.stop(ctx, cause); err != nil {
			return err
		}
		return l.start(ctx, cause)
	}
	return l.replace(ctx, cause)
}

// replace makes the container anew.
func (l *lifecycle) replace(ctx workflow.Context, cause string) error {
	if l.Known.Exists() {
		if err := l.delete(ctx, l.Policy.Provider); err != nil {
			return err
		}
		l.Known = activities.ContainerCondition{}
		l.tell(ctx, schemas.StatusContainerRemoved, telling{cause: cause})
	}
	if err := l.step(ctx, activities.NameCreateContainer, "create", schemas.StatusContainerCreated, cause); err != nil {
		return err
	}
	return l.start(ctx, cause)
}
