package activities

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"windlass/plan"
	"windlass/schemas"
)

// batchParallelism bounds the operations of one batch that run at a time. Providers
// bound what their host can take by themselves.
const batchParallelism = 16

// Batch runs many operations side by side, and tells how each of them ended. When
// one meets what a retry can mend, the whole batch is tried again: what is done is
// found done.
func (a *Activities) Batch(ctx context.Context, in BatchInput) (BatchOutput, error) {
	p := startPulse(ctx, fmt.Sprintf("%d operations", len(in.Operations)))
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	names := make([]string, len(in.Operations))
	for i, o := range in.Operations {
		names[i] = o.Resource
	}
	desired, err := a.desired(ctx, in.Revision, names...)
	if err != nil {
		return BatchOutput{}, a.failed(ctx, in.Revision, secrets, err)
	}
	byName := make(map[string]plan.Desired, len(desired))
	for _, d := range desired {
		byName[d.Resource] = d
	}
	out := BatchOutput{Results: make([]BatchResult, len(in.Operations))}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(batchParallelism)
	for i, o := range in.Operations {
		group.Go(func() error {
			outputs, err := a.operate(groupContext, in.Scope, o, byName[o.Resource], secrets, p.progress)
			if err == nil {
				out.Results[i].Outputs = outputs
				return nil
			}
			if groupContext.Err() != nil {
				return groupContext.Err()
			}
			err = at(err, o.Resource, "")
			failure, permanent := a.classify(ctx, in.Revision, secrets, err)
			if !permanent {
				return err
			}
			out.Results[i].Failure = &failure
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return BatchOutput{}, a.failed(ctx, in.Revision, secrets, err)
	}
	return out, nil
}

func (a *Activities) operate(ctx context.Context, scope schemas.Scope, o schemas.Operation, d plan.Desired, secrets Secrets, progress Progress) (schemas.Outputs, error) {
	provider, err := a.Planner.Providers.Get(o.Provider)
	if err != nil {
		return nil, err
	}
	if o.Action == schemas.ActionDelete {
		return nil, provider.Delete(ctx, plan.Target{Scope: scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider}, progress)
	}
	return provider.Apply(ctx, d, secrets, progress)
}
