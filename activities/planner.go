package activities

import (
	"context"
	"log/slog"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

// Planner observes reality and decides what takes it to what is declared. It
// changes nothing.
type Planner struct {
	Providers   Providers
	Protections *events.Protections
	Places      *events.Places
	Records     *events.Records
	Logger      *slog.Logger
}

// Preview plans what a deployment of the document would do now, with the changes
// of each update. A nil document destroys.
func (p *Planner) Preview(ctx context.Context, scope schemas.Scope, document *schemas.Infrastructure) (plan.Plan, error) {
	desired, err := Declare(document, 0, p.Providers)
	if err != nil {
		return plan.Plan{}, err
	}
	made, _, err := p.plan(ctx, scope, desired, false)
	return made, err
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
// is better not begun. It returns what the decision was made on too.
func (p *Planner) plan(ctx context.Context, scope schemas.Scope, desired []plan.Desired, rollback bool) (plan.Plan, sight, error) {
	s, err := p.observe(ctx, scope, desired)
	if err != nil {
		return plan.Plan{}, s, err
	}
	observed := s.observed
	if err := p.permit(ctx, desired, observed); err != nil {
		return plan.Plan{}, s, err
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
	return plan.Diff(desired, observed), s, nil
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

// observe finds what is there of the Infrastructure. What is recorded of protection
// goes before what labels say, since labels stay when protection is lifted.
func (p *Planner) observe(ctx context.Context, scope schemas.Scope, declared []plan.Desired) (sight, error) {
	recorded, err := p.Protections.Of(ctx, scope)
	if err != nil {
		return sight{}, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	s, err := p.look(ctx, scope, declared)
	for i, o := range s.observed {
		if protected, known := recorded[o.Resource]; known {
			s.observed[i].Protected = protected
		}
	}
	return s, err
}
