package activities

import (
	"context"
	"time"

	"windlass/plan"
	"windlass/schemas"
)

// Resync makes the records of an Infrastructure anew: from the status events that
// are still there, and then from what runs, which decides.
func (a *Activities) Resync(ctx context.Context, in ResyncInput) (ResyncOutput, error) {
	defer startPulse(ctx, "observing").stop()
	out, err := a.resync(ctx, in)
	return out, a.failed(ctx, Revision{}, NewSecretsNone(), err)
}

func (a *Activities) resync(ctx context.Context, in ResyncInput) (ResyncOutput, error) {
	if err := a.Records.Replay(ctx, a.JetStream, in.Scope); err != nil {
		return ResyncOutput{}, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	s, err := a.Planner.observe(ctx, in.Scope, nil)
	if err != nil {
		return ResyncOutput{}, err
	}
	if err := a.Planner.settle(ctx, in.Scope, s, nil); err != nil {
		return ResyncOutput{}, err
	}
	observed := s.observed
	out := ResyncOutput{Revision: in.Revision}
	resources := make([]schemas.ResourceRecord, len(observed))
	for i, o := range observed {
		out.Revision = max(out.Revision, o.Revision)
		resources[i] = recordOf(o)
	}
	found := schemas.InfrastructureRecord{Scope: in.Scope, State: schemas.InfrastructureReady, Revision: out.Revision, Stable: in.Stable, Since: time.Now().UTC()}
	if len(observed) == 0 {
		found.State = schemas.InfrastructureDestroyed
	}
	if err := a.Records.Correct(ctx, found, resources); err != nil {
		return ResyncOutput{}, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	return out, nil
}

// recordOf is the record of a resource as it was found.
func recordOf(o plan.Observed) schemas.ResourceRecord {
	state := schemas.ResourceReady
	if o.State != plan.StateReady {
		state = schemas.ResourceDrifted
	}
	return schemas.ResourceRecord{
		Scope: o.Scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider,
		State: state, Revision: o.Revision, DependsOn: o.DependsOn, Cause: o.Reason, Outputs: o.Outputs,
		Since: time.Now().UTC(), Sequence: schemas.DeploymentSequence(o.Revision, 0),
	}
}
