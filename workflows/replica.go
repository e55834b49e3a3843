package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/schemas"
)

// perform runs one action to its end and tells the state.
func (r *rolling) perform(ctx workflow.Context, a rollout.Action) {
	var err error
	switch a.Kind {
	case rollout.Start:
		r.start(ctx, a)
		return
	case rollout.Route:
		err = r.route(ctx, a)
	case rollout.Drain:
		if err = r.replica(ctx, activities.NameDrain, "drain", a, nil); r.interrupted(ctx) {
			r.State.Interrupted(a, "", workflow.Now(ctx))
			return
		}
	case rollout.Remove:
		if err = r.replica(ctx, activities.NameRemove, "remove", a, nil); err != nil && r.interrupted(ctx) {
			r.State.Interrupted(a, "", workflow.Now(ctx))
			return
		}
	case rollout.SetAside:
		r.setAside(ctx, a)
		return
	case rollout.Analyse:
		r.analyse(ctx, a)
		return
	}
	now := workflow.Now(ctx)
	switch {
	case a.Kind == rollout.Drain && ctx.Err() != nil:
		r.State.Drained(a.Set, a.Index) // which is nothing where the replica was recalled
	case err != nil:
		r.State.Broke(a, activities.FailureOf(err), now)
	case a.Kind == rollout.Route:
		r.State.Routed()
	case a.Kind == rollout.Drain:
		r.State.Drained(a.Set, a.Index)
	default:
		r.State.Removed(a.Set, a.Index, nil, now)
	}
}

// revision is the one that declares a version of this rollout.
func (r *rolling) revision(set string) activities.Revision {
	if set == r.State.Stable.Set && set != r.State.Target.Set {
		return r.Stable
	}
	return r.Target
}

// compute is the Compute as a revision declares it.
func (r *rolling) compute(revision activities.Revision) activities.ComputeInput {
	return activities.ComputeInput{Scope: r.Command.Scope, Resource: r.Resource, Revision: revision}
}

// replica runs an activity for the replica of an action.
func (r *rolling) replica(ctx workflow.Context, activity, verb string, a rollout.Action, out any) error {
	summary := fmt.Sprintf("%s replica %d of %s", verb, a.Index, r.Resource)
	in := activities.ReplicaInput{ComputeInput: r.compute(r.revision(a.Set)), Index: a.Index, Name: a.Name}
	return workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, summary), activity, in).Get(ctx, out)
}

func (r *rolling) start(ctx workflow.Context, a rollout.Action) {
	var out activities.StartOutput
	err := r.replica(ctx, activities.NameStart, "start", a, &out)
	if err == nil {
		err = r.replica(ctx, activities.NameAwait, "wait for", a, nil)
	}
	if err != nil && r.interrupted(ctx) {
		r.State.Interrupted(a, out.Name, workflow.Now(ctx))
		return
	}
	var failure *schemas.Failure
	if err != nil {
		f := activities.FailureOf(err)
		if ctx.Err() != nil {
			f = schemas.Failure{Kind: rollout.KindCancelled, Message: "was interrupted"}
		}
		failure = &f
	}
	r.State.Started(a.Set, a.Index, out.Name, failure, workflow.Now(ctx))
}

func (r *rolling) setAside(ctx workflow.Context, a rollout.Action) {
	var out activities.SetAsideOutput
	if err := r.replica(ctx, activities.NameSetAside, "set aside", a, &out); err != nil {
		if r.interrupted(ctx) {
			r.State.Interrupted(a, "", workflow.Now(ctx))
			return
		}
		r.State.Broke(a, activities.FailureOf(err), workflow.Now(ctx))
		return
	}
	r.State.Removed(a.Set, a.Index, out.Evidence, workflow.Now(ctx))
}

func (r *rolling) route(ctx workflow.Context, a rollout.Action) error {
	in := activities.RouteInput{ComputeInput: r.compute(r.Target), Routing: activities.Routing{Weight: a.Weight}}
	for _, m := range a.Join {
		in.Routing.Join = append(in.Routing.Join, m.Name)
	}
	for _, m := range a.Leave {
		in.Routing.Leave = append(in.Routing.Leave, m.Name)
	}
	summary := fmt.Sprintf("requests: %d replicas in, %d out", len(a.Join), len(a.Leave))
	if a.Weight != nil {
		summary += fmt.Sprintf(", %d%% to the new version", *a.Weight)
	}
	return workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, summary), activities.NameRoute, in).Get(ctx, nil)
}

func (r *rolling) analyse(ctx workflow.Context, a rollout.Action) {
	in := activities.AnalyseInput{ComputeInput: r.compute(r.Target), Step: a.Step}
	options := operationOptions(ctx, operationTimeout, fmt.Sprintf("measure canary step %d of %s", a.Step+1, r.Resource))
	err := workflow.ExecuteActivity(options, activities.NameAnalyse, in).Get(ctx, nil)
	if err != nil && r.interrupted(ctx) {
		r.State.Interrupted(a, "", workflow.Now(ctx))
		return
	}
	if err == nil || ctx.Err() != nil {
		r.State.Analysed(a.Step, nil, workflow.Now(ctx))
		return
	}
	failure := activities.FailureOf(err)
	r.State.Analysed(a.Step, &failure, workflow.Now(ctx))
}

// overseePause lies between a watch that no retry mends and the next one.
const overseePause = 30 * time.Second

// oversee tells the state of replicas of the target version that turn unhealthy.
func (r *rolling) oversee(ctx workflow.Context) {
	ctx, r.unwatch = workflow.WithCancel(ctx)
	workflow.GoNamed(ctx, "oversee", func(ctx workflow.Context) {
		for !r.State.Back && !r.State.Stopping {
			var out activities.OverseeOutput
			in := activities.OverseeInput{ComputeInput: r.compute(r.Target), Known: r.State.Known()}
			options := operationOptions(ctx, operationTimeout, "watch the replicas of "+r.Resource)
			err := workflow.ExecuteActivity(options, activities.NameOversee, in).Get(ctx, &out)
			if err != nil && !temporal.IsCanceledError(err) {
				workflow.GetLogger(ctx).Error("the replicas are not watched", "error", err)
				if workflow.GetVersion(ctx, changeWatchedAgain, workflow.DefaultVersion, 1) == 1 && workflow.Sleep(ctx, overseePause) == nil {
					continue // it sees what happened meanwhile
				}
			}
			if err != nil {
				return
			}
			r.State.Unhealthy(r.State.Target.Set, out.Index, out.Failure, workflow.Now(ctx))
			r.moved = true
		}
	})
}
