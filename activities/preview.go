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
