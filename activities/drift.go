package activities

import (
	"context"

	"windlass/plan"
	"windlass/schemas"
)

// Watches are the schedules on which drift is looked for, one per Infrastructure.
type Watches interface {
	// Set makes or changes the schedule.
	Set(ctx context.Context, scope schemas.Scope, drift schemas.Drift) error
	// Remove ends it; one that is gone is no error.
	Remove(ctx context.Context, scope schemas.Scope) error
}

// Drift finds what would take reality back to what a document declares.
func (p *Planner) Drift(ctx context.Context, scope schemas.Scope, document *schemas.Infrastructure) (plan.Plan, error) {
	desired, err := Declare(document, 0, p.Providers)
	if err != nil {
		return plan.Plan{}, err
	}
	found, _, err := p.plan(ctx, scope, desired, true)
	return found, err
}

// Drift observes reality and tells what is not as the revision declares it.
func (a *Activities) Drift(ctx context.Context, in DriftInput) (DriftOutput, error) {
	defer startPulse(ctx, "observing").stop()
	out, err := a.drift(ctx, in)
	return out, a.failed(ctx, in.Revision, NewSecretsNone(), err)
}

func (a *Activities) drift(ctx context.Context, in DriftInput) (DriftOutput, error) {
	document, err := a.document(ctx, in.Revision)
	if err != nil {
		return DriftOutput{}, err
	}
	p, err := a.Planner.Drift(ctx, in.Scope, document)
	if err != nil {
		return DriftOutput{}, err
	}
	var out DriftOutput
	for _, o := range p.Operations {
		if o.Action.Moves() {
			out.Resources = append(out.Resources, schemas.ResourceStatus{
				Scope: in.Scope, Revision: in.Revision.Number, Resource: o.Resource, Type: o.Type, Provider: o.Provider, Cause: o.Cause,
			})
		}
	}
	return out, nil
}

// Watch makes, changes or ends the schedule on which drift is looked for.
func (a *Activities) Watch(ctx context.Context, in WatchInput) error {
	if in.Drift == nil {
		return a.Watches.Remove(ctx, in.Scope)
	}
	return a.Watches.Set(ctx, in.Scope, in.Drift.WithDefaults())
}
