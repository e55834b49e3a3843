package workflows

import (
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	byEngine   = "the engine restarted it"
	byStranger = "by something else"
)

// noticed tells what became of the container by itself, or by somebody else's hand, and
// has the unhealthy policy act where it is to.
func (l *lifecycle) noticed(ctx workflow.Context, out activities.ContainerOutput) {
	known, now := l.Known, out.Condition
	l.Known = now
	if !now.Exists() {
		l.tell(ctx, schemas.StatusContainerRemoved, telling{cause: byStranger})
		l.schedule(ctx)
		return
	}
	ended := known.Ended(now)
	if ended {
		l.Due = zeroTime // what was wrong with that run is over
		l.tell(ctx, schemas.StatusContainerExited, telling{exitCode: out.ExitCode, failure: out.Failure})
	}
	switch {
	case now.Up() && (ended || !known.Up()):
		cause := byStranger
		if ended || known.State == plan.ContainerRestarting {
			cause = byEngine
		}
		l.tell(ctx, schemas.StatusContainerStarted, telling{cause: cause})
	case now.State == plan.ContainerPaused && known.State == plan.ContainerRunning:
		l.tell(ctx, schemas.StatusContainerPaused, telling{cause: byStranger})
	case now.State == plan.ContainerRunning && known.State == plan.ContainerPaused:
		l.tell(ctx, schemas.StatusContainerResumed, telling{cause: byStranger})
	}
	if ended || now.Health == known.Health {
		return
	}
	switch now.Health {
	case plan.HealthHealthy:
		l.tell(ctx, schemas.StatusContainerHealthy, telling{})
		l.HealthySince, l.Due = workflow.Now(ctx), zeroTime
	case plan.HealthUnhealthy:
		l.tell(ctx, schemas.StatusContainerUnhealthy, telling{failure: out.Failure})
		l.schedule(ctx)
	}
}

// telling is what an event tells beyond how the container is.
type telling struct {
	cause    string
	exitCode *int
	failure  *schemas.Failure
}

// tell tells an event with the container as it is known.
func (l *lifecycle) tell(ctx workflow.Context, event string, t telling) {
	l.Told++
	l.outbox.add(ctx, schemas.Event{
		Type: event, Source: schemas.ContainerSource(l.Scope), Subject: l.Scope.String(),
		Sequence: schemas.ContainerSequence(l.Served.Time, l.Told), CorrelationID: ContainerID(l.Scope),
		CausationID: l.Served.ID, TraceParent: l.Served.TraceParent,
		Container: &schemas.ContainerStatus{
			Environment: l.Scope.Environment, Container: l.Scope.Infrastructure, Provider: l.Policy.Provider,
			Image: l.Known.Image, Name: l.Known.Name, ID: l.Known.ID, State: string(l.Known.State), Health: string(l.Known.Health),
			ExitCode: t.exitCode, Restarts: l.Restarts, Document: l.Revision.Reference, Cause: t.cause, Error: t.failure,
		},
	})
}

// fail tells that something could not be done.
func (l *lifecycle) fail(ctx workflow.Context, cause string, err error) {
	failure := activities.FailureOf(err)
	l.tell(ctx, schemas.StatusContainerFailed, telling{cause: cause, failure: &failure})
}
