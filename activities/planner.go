package activities

import (
	"context"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

// Planner observes reality and decides what takes it to what is declared. It
// changes nothing.
type Planner struct {
	Providers   Providers
	Protections *events.Protections
}

// Preview plans what a deployment of the document would do now, with the changes
// of each update. A nil document destroys.
func (p *Planner) Preview(ctx context.Context, scope schemas.Scope, document *schemas.Infrastructure) (plan.Plan, error) {
	desired, err := Declare(document, 0, p.Providers)
	if err != nil {
		return plan.Plan{}, err
	}
	return p.plan(ctx, scope, desired, false)
}

// Compare plans what leads from one document to the other, as if reality were
// exactly what the first one declares. A nil document declares nothing.
func (p *Planner) Compare(from, to *schemas.Infrastructure) (plan.Plan, error) {
	before, err := Declare(from, 0, p.Providers)
	if err != nil {
		return plan.Plan{}, err
	}
	after, err := Declare(to, 0, p.Providers)
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

// plan decides what takes reality to what is desired. It fails when a provider
// cannot make one of the changes, also on the way back: what would break half way
// is better not begun.
func (p *Planner) plan(ctx context.Context, scope schemas.Scope, desired []plan.Desired, rollback bool) (plan.Plan, error) {
	observed, err := p.observe(ctx, scope)
	if err != nil {
		return plan.Plan{}, err
	}
	if err := p.permit(ctx, desired, observed); err != nil {
		return plan.Plan{}, err
	}
	if !rollback {
		protects := map[plan.Target]bool{}
		for _, d := range desired {
			protects[d.Target] = d.Protect
		}
		for i := range observed {
			observed[i].Protected = observed[i].Protected || protects[observed[i].Target]
		}
	}
	return plan.Diff(desired, observed), nil
}

// permit asks the providers whether they can make what is there what is declared,
// and what of it is to be taken over. The first refusal in the order of the document
// counts.
func (p *Planner) permit(ctx context.Context, desired []plan.Desired, observed []plan.Observed) error {
	found := make(map[plan.Target]plan.Observed, len(observed))
	for _, o := range observed {
		found[o.Target] = o
	}
	for i, d := range desired {
		o, there := found[d.Target]
		var err error
		if there {
			err = p.Providers[d.Provider].Permit(d, o)
		} else {
			desired[i].Adopts, err = p.Providers[d.Provider].Adopts(ctx, d)
		}
		if err != nil {
			return at(err, d.Resource, "")
		}
	}
	return nil
}

// observe asks every provider. What is recorded of protection goes before what
// labels say, since labels stay when protection is lifted.
func (p *Planner) observe(ctx context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	recorded, err := p.Protections.Of(ctx, scope)
	if err != nil {
		return nil, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	var all []plan.Observed
	for _, provider := range p.Providers {
		found, err := provider.Observe(ctx, scope)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if protected, known := recorded[o.Resource]; known {
				o.Protected = protected
			}
			all = append(all, o)
		}
	}
	return all, nil
}
