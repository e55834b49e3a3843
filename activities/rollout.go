package activities

import (
	"context"
	"fmt"

	"windlass/plan"
	"windlass/plan/rollout"
	"windlass/schemas"
)

// replicaWork is what the activities of a rollout have in common.
type replicaWork struct {
	ctx      context.Context
	desired  plan.Desired
	provider ReplicaProvider
	secrets  Secrets
	pulse    *pulse
}

// withReplicas calls work with the Compute as a revision declares it.
func (a *Activities) withReplicas(ctx context.Context, in ComputeInput, doing string, work func(replicaWork) error) error {
	p := startPulse(ctx, doing)
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	desired, provider, err := a.declared(ctx, in.Revision, in.Resource)
	if err == nil {
		replicas, ok := provider.(ReplicaProvider)
		if !ok {
			err = &Fault{Kind: Invalid, Field: "provider", Message: fmt.Sprintf("provider %q does not move single replicas", desired.Provider)}
		} else {
			err = work(replicaWork{ctx, desired, replicas, secrets, p})
		}
	}
	return a.failed(ctx, in.Revision, secrets, at(err, in.Resource, ""))
}

// Survey finds what a rollout begins with.
func (a *Activities) Survey(ctx context.Context, in SurveyInput) (SurveyOutput, error) {
	var out SurveyOutput
	err := a.withReplicas(ctx, in.ComputeInput, "looking for replicas of "+in.Resource, func(w replicaWork) (err error) {
		out.Strategy = w.desired.RolloutStrategy()
		if out.Target, err = versionOf(w.desired); err != nil {
			return err
		}
		if out.Stable, err = a.stableVersion(ctx, in.Stable, w.desired); err != nil {
			return err
		}
		out.Found, err = w.provider.Survey(ctx, w.desired, w.pulse.progress)
		return err
	})
	return out, err
}

func versionOf(d plan.Desired) (rollout.Version, error) {
	c, err := schemas.Decode[schemas.Compute](d.Declaration())
	if err != nil {
		return rollout.Version{}, &Fault{Kind: Invalid, Field: "properties", Message: err.Error(), Err: err}
	}
	return rollout.Version{Set: d.SpecHash, Replicas: *c.WithDefaults().Replicas, Revision: d.Revision, Image: c.Image}, nil
}

// stableVersion is the Compute as the stable revision declares it. Where that is lost,
// or does not declare it in the same place, there is none.
func (a *Activities) stableVersion(ctx context.Context, stable Revision, now plan.Desired) (rollout.Version, error) {
	found, err := a.desired(ctx, stable, now.Resource)
	if IsKind(err, NotFound) || err == nil && (len(found) == 0 || found[0].Target != now.Target) {
		return rollout.Version{}, nil
	}
	if err != nil {
		return rollout.Version{}, err
	}
	return versionOf(found[0])
}

// StartReplica makes and starts one replica. Its images are pulled where they are
// missing: on the way back nobody has seen to them.
func (a *Activities) StartReplica(ctx context.Context, in ReplicaInput) (StartOutput, error) {
	var out StartOutput
	err := a.withReplicas(ctx, in.ComputeInput, fmt.Sprintf("starting replica %d", in.Index), func(w replicaWork) error {
		images, err := w.provider.Images(w.desired)
		if err != nil {
			return err
		}
		for _, image := range images {
			if image.Policy == schemas.PullAlways {
				image.Policy = schemas.PullIfNotPresent
			}
			if err := w.provider.Pull(w.ctx, image, w.secrets, w.pulse.progress); err != nil {
				return at(err, in.Resource, image.Field)
			}
		}
		out.Name, err = w.provider.StartReplica(w.ctx, w.desired, in.Index, w.secrets, w.pulse.progress)
		return err
	})
	return out, err
}

// AwaitReplica returns when one replica is ready and has been so for long enough.
func (a *Activities) AwaitReplica(ctx context.Context, in ReplicaInput) error {
	return a.withReplicas(ctx, in.ComputeInput, fmt.Sprintf("waiting for replica %d", in.Index), func(w replicaWork) error {
		return w.provider.AwaitReplica(w.ctx, w.desired, in.Index, w.secrets, w.pulse.progress)
	})
}

// OverseeReplicas returns when a replica that was ready is not any more.
func (a *Activities) OverseeReplicas(ctx context.Context, in OverseeInput) (OverseeOutput, error) {
	var out OverseeOutput
	err := a.withReplicas(ctx, in.ComputeInput, "watching the replicas of "+in.Resource, func(w replicaWork) error {
		found, err := w.provider.WatchReplicas(w.ctx, w.desired, in.Known, w.secrets, w.pulse.progress)
		if err != nil {
			return err
		}
		out.Index = found.Index
		out.Failure, _ = a.classify(ctx, in.Revision, w.secrets, at(found.Fault, in.Resource, ""))
		return nil
	})
	return out, err
}

// RouteReplicas changes which replicas the proxies pass requests to.
func (a *Activities) RouteReplicas(ctx context.Context, in RouteInput) error {
	return a.withReplicas(ctx, in.ComputeInput, "changing what gets requests", func(w replicaWork) error {
		return w.provider.Route(w.ctx, w.desired, in.Routing, w.pulse.progress)
	})
}

// DrainReplica waits until a replica that was taken out has no request in flight.
func (a *Activities) DrainReplica(ctx context.Context, in ReplicaInput) error {
	return a.withReplicas(ctx, in.ComputeInput, "draining "+in.Name, func(w replicaWork) error {
		return w.provider.DrainReplica(w.ctx, w.desired.Target, in.Name, w.pulse.progress)
	})
}

// RemoveReplica ends and removes one replica of any version.
func (a *Activities) RemoveReplica(ctx context.Context, in ReplicaInput) error {
	return a.withReplicas(ctx, in.ComputeInput, "removing "+in.Name, func(w replicaWork) error {
		return w.provider.RemoveReplica(w.ctx, w.desired.Target, in.Name, w.pulse.progress)
	})
}

// SetAsideReplica ends one replica that failed and keeps it to be looked at.
func (a *Activities) SetAsideReplica(ctx context.Context, in ReplicaInput) (SetAsideOutput, error) {
	var out SetAsideOutput
	err := a.withReplicas(ctx, in.ComputeInput, fmt.Sprintf("setting replica %d aside", in.Index), func(w replicaWork) error {
		found, err := w.provider.SetAsideReplica(w.ctx, w.desired, in.Index, w.secrets, w.pulse.progress)
		out.Evidence = redacted(found, w.secrets)
		return err
	})
	return out, err
}

// AnalyseReplicas measures the new version as a canary step says.
func (a *Activities) AnalyseReplicas(ctx context.Context, in AnalyseInput) error {
	return a.withReplicas(ctx, in.ComputeInput, "measuring the new version", func(w replicaWork) error {
		return w.provider.AnalyseReplicas(w.ctx, w.desired, *w.desired.RolloutStrategy().Steps[in.Step].Analysis, w.secrets, w.pulse.progress)
	})
}

// SettleReplicas ends a rollout: the proxies know the declared replicas alone.
func (a *Activities) SettleReplicas(ctx context.Context, in ComputeInput) (ApplyOutput, error) {
	var out ApplyOutput
	err := a.withReplicas(ctx, in, "settling "+in.Resource, func(w replicaWork) (err error) {
		out.Outputs, err = w.provider.Settle(w.ctx, w.desired, w.secrets, w.pulse.progress)
		return err
	})
	return out, err
}
