package activities

import (
	"context"
	"fmt"

	"windlass/plan"
	"windlass/plan/rollout"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// VersionsOutput are the versions between which a supervised rollout moves.
type VersionsOutput struct {
	Strategy schemas.Strategy `json:"strategy"`
	Target   rollout.Version  `json:"target"`
	// Stable has no Set where the stable revision does not declare the same Compute.
	Stable rollout.Version `json:"stable,omitzero"`
}

// DeclareInput asks for a version to be declared to its place.
type DeclareInput struct {
	ComputeInput
	// Paused has the place start and end no replicas.
	Paused bool `json:"paused,omitempty"`
	// Beside is the part that runs beside the stable version.
	Beside supervision.Beside `json:"beside,omitzero"`
}

// ExchangeInput asks for the next change of an exchange.
type ExchangeInput struct {
	ComputeInput
	Beside supervision.Beside   `json:"beside,omitzero"`
	Seen   supervision.Exchange `json:"seen"`
}

// InspectOutput is what was found at a replica that is not ready; nil is at none.
type InspectOutput struct {
	Evidence *schemas.Evidence `json:"evidence,omitempty"`
}

// supervised calls work with the Compute as a revision declares it.
func (a *Activities) supervised(ctx context.Context, in ComputeInput, doing string, work func(plan.Desired, SupervisedProvider, Secrets, Progress) error) error {
	p := startPulse(ctx, doing)
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	desired, provider, err := a.declared(ctx, in.Revision, in.Resource)
	if err == nil {
		if place, ok := provider.(SupervisedProvider); ok {
			err = work(desired, place, secrets, p.progress)
		} else {
			err = &Fault{Kind: Invalid, Field: "provider", Message: fmt.Sprintf("provider %q does not exchange replicas by itself", desired.Provider)}
		}
	}
	return a.failed(ctx, in.Revision, secrets, at(err, in.Resource, ""))
}

// LookUpVersions finds the versions between which a rollout moves.
func (a *Activities) LookUpVersions(ctx context.Context, in SurveyInput) (VersionsOutput, error) {
	var out VersionsOutput
	err := a.supervised(ctx, in.ComputeInput, "looking up the versions of "+in.Resource, func(d plan.Desired, _ SupervisedProvider, _ Secrets, _ Progress) (err error) {
		out.Strategy = d.RolloutStrategy()
		if out.Target, err = versionOf(d); err != nil {
			return err
		}
		out.Stable, err = a.stableVersion(ctx, in.Stable, d)
		return err
	})
	return out, err
}

// DeclareVersion declares a version to its place, which begins to exchange replicas.
func (a *Activities) DeclareVersion(ctx context.Context, in DeclareInput) error {
	return a.supervised(ctx, in.ComputeInput, "declaring "+in.Resource, func(d plan.Desired, place SupervisedProvider, secrets Secrets, progress Progress) error {
		return place.BeginRollout(ctx, d, supervision.Way{Paused: in.Paused, Beside: in.Beside}, secrets, progress)
	})
}

// WatchExchange returns when the exchange has moved on from what was seen.
func (a *Activities) WatchExchange(ctx context.Context, in ExchangeInput) (supervision.Exchange, error) {
	var out supervision.Exchange
	err := a.supervised(ctx, in.ComputeInput, "watching the replicas of "+in.Resource, func(d plan.Desired, place SupervisedProvider, secrets Secrets, progress Progress) (err error) {
		out, err = place.WatchRollout(ctx, d, in.Beside, in.Seen, secrets, progress)
		return err
	})
	return out, err
}

// InspectReplicas looks at what keeps a version from coming up.
func (a *Activities) InspectReplicas(ctx context.Context, in ComputeInput) (InspectOutput, error) {
	var out InspectOutput
	err := a.supervised(ctx, in, "looking at the replicas of "+in.Resource, func(d plan.Desired, place SupervisedProvider, secrets Secrets, progress Progress) error {
		found, err := place.InspectReplicas(ctx, d, secrets, progress)
		out.Evidence = redacted(found, secrets)
		return err
	})
	return out, err
}

// FinishRollout leaves nothing but what the version needs.
func (a *Activities) FinishRollout(ctx context.Context, in ComputeInput) (ApplyOutput, error) {
	var out ApplyOutput
	err := a.supervised(ctx, in, "finishing "+in.Resource, func(d plan.Desired, place SupervisedProvider, _ Secrets, progress Progress) (err error) {
		out.Outputs, err = place.FinishRollout(ctx, d, progress)
		return err
	})
	return out, err
}
