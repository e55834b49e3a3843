package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"windlass/plan"
	"windlass/schemas"
)

// strayPatience is how long a provider has to answer at which nothing of an
// Infrastructure should be.
const strayPatience = 3 * time.Second

// sight is what was found of an Infrastructure.
type sight struct {
	observed []plan.Observed
	// held are the providers at which there may be something, as it was written down.
	held []string
	// empty are the providers that said that nothing is there.
	empty []string
}

// look asks all providers what they hold of the Infrastructure. Those that are declared
// must answer, and those at which something may be: without them nobody knows what is
// there, and it could be forgotten. Where nobody knows of any, all of them must. The
// failure of another one, at which nothing should be, is only logged: a cluster that
// is gone does not hold up what never was there. One that the worker does not have
// any more is not asked.
func (p *Planner) look(ctx context.Context, scope schemas.Scope, declared []plan.Desired) (sight, error) {
	var s sight
	var err error
	if s.held, err = p.Places.Of(ctx, scope); err != nil {
		return s, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	needed, err := p.needed(ctx, scope, declared, s.held)
	if err != nil {
		return s, err
	}
	must := func(name string) bool { return len(needed) == 0 || slices.Contains(needed, name) }
	answers := AskProviders(ctx, p.Providers, func(name string) time.Duration {
		if must(name) {
			return 0
		}
		return strayPatience
	}, func(ctx context.Context, provider Provider) ([]plan.Observed, error) {
		return provider.Observe(ctx, scope)
	})
	for _, a := range answers {
		switch {
		case a.Err == nil && len(a.Value) == 0:
			s.empty = append(s.empty, a.Provider)
		case a.Err == nil:
			s.observed = append(s.observed, a.Value...)
		case must(a.Provider):
			return s, p.unseen(scope, a.Provider, declared, a.Err)
		default:
			p.Logger.Warn("a provider does not answer at which nothing of the Infrastructure should be", "provider", a.Provider, "infrastructure", scope.String(), "error", a.Err)
		}
	}
	return s, nil
}

// needed are the names of the providers that must answer. Records know those of a time
// before places were written down.
func (p *Planner) needed(ctx context.Context, scope schemas.Scope, declared []plan.Desired, held []string) ([]string, error) {
	if len(p.Providers) == 1 {
		return nil, nil
	}
	var names []string
	for _, d := range declared {
		names = append(names, d.Provider)
	}
	records, err := p.Records.Resources(ctx, scope)
	if err != nil {
		return nil, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	for _, r := range records {
		held = append(held, r.Provider)
	}
	for _, name := range held {
		if _, there := p.Providers[name]; !there {
			p.Logger.Warn("the worker has no provider of that name any more; what may be there is left alone", "provider", name, "infrastructure", scope.String())
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// unseen is the fault of a provider that must answer and does not. It says which one
// where there are several, and why it must where the document does not.
func (p *Planner) unseen(scope schemas.Scope, name string, declared []plan.Desired, err error) error {
	if len(p.Providers) == 1 {
		return err
	}
	var fault *Fault
	if !errors.As(err, &fault) {
		return fmt.Errorf("provider %s: %w", name, err)
	}
	named := *fault
	named.Message = fmt.Sprintf("provider %s: %s", name, fault.Message)
	if fault.Kind == Unavailable && !slices.ContainsFunc(declared, func(d plan.Desired) bool { return d.Provider == name }) {
		named.Hint = fmt.Sprintf("%s; something of %s may be there; if the provider is gone for good, take it out of the workers' file of providers", fault.Hint, scope)
	}
	return &named
}

// settle writes down where there may be something of the Infrastructure from now on,
// and forgets the providers that hold nothing and are not declared.
func (p *Planner) settle(ctx context.Context, scope schemas.Scope, s sight, declared []plan.Desired) error {
	var now []string
	for _, d := range declared {
		now = append(now, d.Provider)
	}
	for _, o := range s.observed {
		now = append(now, o.Provider)
	}
	slices.Sort(now)
	now = slices.Compact(now)
	for _, name := range now {
		if slices.Contains(s.held, name) {
			continue
		}
		if err := p.Places.Add(ctx, scope, name); err != nil {
			return &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
		}
	}
	for _, name := range s.held {
		if !slices.Contains(s.empty, name) || slices.Contains(now, name) {
			continue
		}
		if err := p.Places.Remove(ctx, scope, name); err != nil {
			return &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
		}
	}
	return nil
}

// leave forgets the providers that a deployment has left behind, once its success is
// told: nothing is there any more but what is to outlive its declaration.
func (a *Activities) leave(ctx context.Context, told []schemas.Event) error {
	for _, e := range told {
		d := e.Deployment
		if e.Type != schemas.StatusDeploymentSucceeded || d == nil || d.Partial || len(d.Skipped) > 0 {
			continue
		}
		held, err := a.Planner.Places.Of(ctx, d.Scope)
		if err != nil || len(held) == 0 {
			return err
		}
		declared, known, err := a.declaredProviders(ctx, *d)
		if err != nil || !known {
			return err
		}
		for _, name := range held {
			if slices.Contains(declared, name) {
				continue
			}
			if err := a.Planner.Places.Remove(ctx, d.Scope, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// declaredProviders are those of the revision that was deployed; not known are those
// of one that is not the newest any more, or whose document is lost.
func (a *Activities) declaredProviders(ctx context.Context, d schemas.DeploymentStatus) (names []string, known bool, err error) {
	newest, err := a.Records.Infrastructure(ctx, d.Scope)
	if err != nil || newest == nil || newest.Revision != d.Revision {
		return nil, false, err
	}
	if d.Destroy {
		return nil, true, nil
	}
	record, err := a.Records.Revision(ctx, d.Scope, d.Revision)
	if err != nil || record == nil || record.Document == "" {
		return nil, false, err
	}
	document, err := a.document(ctx, Revision{Number: d.Revision, Reference: record.Document})
	if IsKind(err, NotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, r := range document.Spec.Resources {
		names = append(names, r.Provider)
	}
	return names, true, nil
}
