package activities

import (
	"context"

	"windlass/plan"
	"windlass/schemas"
)

// Preview plans what a deployment of the document would do now, with the changes
// of each update. A nil document destroys. It changes nothing.
func (p Providers) Preview(ctx context.Context, scope schemas.Scope, document *schemas.Infrastructure) (plan.Plan, error) {
	desired, err := Declare(document, 0, p)
	if err != nil {
		return plan.Plan{}, err
	}
	return p.plan(ctx, scope, desired)
}

// Compare plans what leads from one document to the other, as if reality were
// exactly what the first one declares. A nil document declares nothing.
func (p Providers) Compare(from, to *schemas.Infrastructure) (plan.Plan, error) {
	before, err := Declare(from, 0, p)
	if err != nil {
		return plan.Plan{}, err
	}
	after, err := Declare(to, 0, p)
	if err != nil {
		return plan.Plan{}, err
	}
	observed := make([]plan.Observed, len(before))
	for i, d := range before {
		observed[i] = plan.Observed{
			Target: d.Target, SpecHash: d.SpecHash, Properties: d.Properties, DependsOn: d.DependsOn, State: plan.StateReady,
		}
	}
	return plan.Diff(after, observed), nil
}

// plan observes every provider and decides what takes reality to what is desired.
func (p Providers) plan(ctx context.Context, scope schemas.Scope, desired []plan.Desired) (plan.Plan, error) {
	var observed []plan.Observed
	for _, provider := range p {
		found, err := provider.Observe(ctx, scope)
		if err != nil {
			return plan.Plan{}, err
		}
		observed = append(observed, found...)
	}
	return plan.Diff(desired, observed), nil
}
