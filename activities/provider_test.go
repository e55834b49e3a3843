package activities

import (
	"context"
	"sync"

	"windlass/plan"
	"windlass/schemas"
)

// fake is a Provider in memory: reality cannot be made to fail on cue. What it
// should do otherwise is set by the functions.
type fake struct {
	mutex    sync.Mutex
	observed []plan.Observed
	applied  []plan.Desired
	deleted  []plan.Target
	pulled   []Image
	calls    int

	observe func(context.Context) error
	apply   func(context.Context, plan.Desired, Secrets, Progress) error
	remove  func(context.Context, plan.Target) error
	pull    func(context.Context, Image, Secrets) error
	permit  func(plan.Desired, plan.Observed) error
}

var _ Provider = (*fake)(nil)

func newFake() *fake { return &fake{} }

func (f *fake) called() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.calls++
	return f.calls
}

func (f *fake) Version(context.Context) (string, error) { return "fake 1", nil }

func (f *fake) Outputs(d plan.Desired) (schemas.Outputs, error) {
	name := d.Infrastructure + "-" + d.Resource
	outputs := schemas.Outputs{"name": name}
	if d.Type == schemas.TypeDatabase {
		password := "${generated." + d.Resource + ".password}"
		outputs["host"], outputs["port"], outputs["user"], outputs["password"] = name, "5432", d.Resource, password
		outputs["url"] = "postgres://" + d.Resource + ":" + password + "@" + name + ":5432/" + d.Resource
	}
	return outputs, nil
}

func (f *fake) ReplaceOn(kind schemas.ResourceType) []string {
	if kind == schemas.TypeNetwork {
		return []string{plan.AnyProperty}
	}
	return nil
}

func (f *fake) Scopes(context.Context) ([]schemas.Scope, error) { return []schemas.Scope{users}, nil }

func (f *fake) Adopts(context.Context, plan.Desired) (string, error) { return "", nil }

func (f *fake) Permit(d plan.Desired, o plan.Observed) error {
	if f.permit == nil {
		return nil
	}
	return f.permit(d, o)
}

func (f *fake) Images(d plan.Desired) ([]Image, error) {
	switch d.Type {
	case schemas.TypeCompute:
		c, err := schemas.Decode[schemas.Compute](d.Declaration())
		return []Image{{Reference: c.Image, Policy: c.PullPolicy, Credentials: c.RegistryCredentials, Field: "properties.image"}}, err
	case schemas.TypeDatabase:
		c, err := schemas.Decode[schemas.Database](d.Declaration())
		return []Image{{Reference: "postgres:" + c.Version, Field: "properties.version"}}, err
	}
	return nil, nil
}

func (f *fake) Pull(ctx context.Context, image Image, secrets Secrets, _ Progress) error {
	f.called()
	if f.pull != nil {
		return f.pull(ctx, image, secrets)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.pulled = append(f.pulled, image)
	return nil
}

func (f *fake) Observe(ctx context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	f.called()
	if f.observe != nil {
		if err := f.observe(ctx); err != nil {
			return nil, err
		}
	}
	var found []plan.Observed
	for _, o := range f.observed {
		if o.Scope == scope {
			found = append(found, o)
		}
	}
	return found, nil
}

func (f *fake) Apply(ctx context.Context, d plan.Desired, secrets Secrets, progress Progress) (schemas.Outputs, error) {
	f.called()
	if f.apply != nil {
		if err := f.apply(ctx, d, secrets, progress); err != nil {
			return nil, err
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.applied = append(f.applied, d)
	return f.Outputs(d)
}

func (f *fake) Delete(ctx context.Context, at plan.Target, _ Progress) error {
	f.called()
	if f.remove != nil {
		return f.remove(ctx, at)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.deleted = append(f.deleted, at)
	return nil
}

func (f *fake) Metrics(context.Context, plan.Target) ([]Metrics, error) { return nil, nil }
