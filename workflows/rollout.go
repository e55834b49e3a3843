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

// Rollout moves the replicas of one Compute to the version that a revision declares.
// What happens when is decided by package rollout; this runs the actions and tells
// how they ended.
//
// It ends as completed, as cancelled, or as failed with an error of type ErrorFailed
// or ErrorRolledBack whose details are a schemas.Failure.
func Rollout(ctx workflow.Context, in RolloutInput) (RolloutOutput, error) {
	if in.Supervised {
		return supervise(ctx, in)
	}
	r := &rolling{herald: herald{RolloutInput: &in, outbox: newOutbox(ctx)}, running: map[string]performance{}, moved: true}
	defer r.outbox.flush(ctx)
	if r.State == nil {
		if err := r.survey(ctx); err != nil {
			return RolloutOutput{}, err
		}
	}
	orders := workflow.GetSignalChannel(ctx, SignalOrder)
	defer r.refuseRest(ctx, orders)
	r.oversee(ctx)
	for !r.State.Done() && ctx.Err() == nil {
		r.receive(ctx, orders)
		if isLong(ctx) && r.settled(ctx, orders) {
			return RolloutOutput{}, workflow.NewContinueAsNewError(ctx, NameRollout, in)
		}
		for _, a := range r.State.Decide(workflow.Now(ctx)) {
			r.begin(ctx, a)
		}
		r.tellProgress(ctx, r.State.Status())
		if r.State.Done() {
			break
		}
		r.wake(ctx)
		r.moved = false
		_ = workflow.Await(ctx, func() bool { return r.moved || orders.Len() > 0 })
	}
	return r.end(ctx)
}

// Changes of the workflow that runs which began before them do not make.
const (
	// changeBoundedStarts bounds the replicas that start at the same time.
	changeBoundedStarts = "bounded-starts"
	// changeInPart takes an action that could not be done for one that may have been done in part.
	changeInPart = "in-part"
	// changeHandedOver has a run that becomes too long break off what may take long, so that
	// the next one, which begins it again, meets orders and the deadline in time.
	changeHandedOver = "handed-over"
	// changeWatchedAgain has replicas watched again after a watch that no retry mends.
	changeWatchedAgain = "watched-again"
)

// rolling is the state of one run.
type rolling struct {
	herald
	// running are what runs, by the replica or the kind of action.
	running map[string]performance
	// handing says that another run is to go on with what this one breaks off.
	handing bool
	// unwatch ends the watch over the replicas.
	unwatch workflow.CancelFunc
	// moved says that there is something to decide.
	moved bool
	// alarm is when the next timer goes off, zero when none runs.
	alarm time.Time
}

// survey finds what there is, and begins.
func (r *rolling) survey(ctx workflow.Context) error {
	var out activities.SurveyOutput
	in := activities.SurveyInput{ComputeInput: r.compute(r.Target), Stable: r.Stable}
	options := operationOptions(ctx, planTimeout, "look for the replicas of "+r.Resource)
	if err := workflow.ExecuteActivity(options, activities.NameSurvey, in).Get(ctx, &out); err != nil {
		return err
	}
	members := make([]rollout.Member, len(out.Found.Replicas))
	for i, found := range out.Found.Replicas {
		condition := rollout.Failed
		switch {
		case found.Available:
			condition = rollout.Available
		case found.Starting:
			condition = rollout.Present
		}
		members[i] = rollout.Member{
			Set: found.Set, Index: found.Index, Name: found.Name, Condition: condition, Routed: found.Routed,
			Revision: found.Revision, Image: found.Image,
		}
	}
	r.State = rollout.New(out.Strategy, out.Target, out.Stable, out.Found.Balanced, r.GoesBack, members)
	if workflow.GetVersion(ctx, changeBoundedStarts, workflow.DefaultVersion, 1) == 1 {
		r.State.MostStarting = rollout.MostStarting
	}
	r.State.InPart = workflow.GetVersion(ctx, changeInPart, workflow.DefaultVersion, 1) == 1
	r.tell(ctx, r.State.Status(), schemas.StatusRolloutStarted, "")
	return nil
}

// wake sees to it that the rollout is looked at when its state says so.
func (r *rolling) wake(ctx workflow.Context) {
	at := r.State.Wake(workflow.Now(ctx))
	if !r.due.IsZero() && (at.IsZero() || r.due.Before(at)) {
		at = r.due
	}
	if at.IsZero() || !r.alarm.IsZero() && !at.Before(r.alarm) {
		return // one that goes off early changes nothing
	}
	r.alarm = at
	workflow.GoNamed(ctx, "alarm", func(ctx workflow.Context) {
		if workflow.Sleep(ctx, max(0, at.Sub(workflow.Now(ctx)))) != nil {
			return
		}
		r.moved = true
		if r.alarm.Equal(at) {
			r.alarm = time.Time{}
		}
	})
}

// begin runs an action by the side.
func (r *rolling) begin(ctx workflow.Context, a rollout.Action) {
	key := fmt.Sprintf("%s/%d", a.Set, a.Index)
	if a.Kind == rollout.Route || a.Kind == rollout.Analyse {
		key = string(a.Kind)
	}
	if a.Kind == rollout.Cancel {
		if p, ok := r.running[key]; ok {
			p.cancel()
		}
		return
	}
	ctx, cancel := workflow.WithCancel(ctx)
	r.running[key] = performance{a.Kind, cancel}
	workflow.GoNamed(ctx, a.String(), func(ctx workflow.Context) {
		r.perform(ctx, a)
		cancel()
		r.moved = true
	})
}

// performance is an action that runs, or ran.
type performance struct {
	kind   rollout.Kind
	cancel workflow.CancelFunc
}

// handOver breaks off what may take long and can be begun again. A change of the proxies
// comes to its end: nothing else could be decided before.
func (r *rolling) handOver() {
	r.handing = true
	for _, key := range workflow.DeterministicKeys(r.running) {
		if p := r.running[key]; p.kind != rollout.Route {
			p.cancel()
		}
	}
}

// interrupted says that an action was broken off for another run.
func (r *rolling) interrupted(ctx workflow.Context) bool { return r.handing && ctx.Err() != nil }

// settled waits until nothing runs and nobody asks for anything, so that a new run can
// go on. It is false when the rollout is cancelled meanwhile.
func (r *rolling) settled(ctx workflow.Context, orders workflow.ReceiveChannel) bool {
	r.unwatch()
	if workflow.GetVersion(ctx, changeHandedOver, workflow.DefaultVersion, 1) == 1 {
		r.handOver()
	}
	if workflow.Await(ctx, r.State.Idle) != nil {
		return false
	}
	r.outbox.flush(ctx)
	for r.receive(ctx, orders) {
		r.outbox.flush(ctx)
	}
	return ctx.Err() == nil
}

// end waits until nothing runs any more, leaves the proxies with what there is, and
// says how the rollout ended.
func (r *rolling) end(ctx workflow.Context) (RolloutOutput, error) {
	r.unwatch()
	detached, _ := workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(detached, r.State.Idle)
	if !r.State.Done() {
		r.State.Phase = schemas.RolloutCancelled
		r.tell(detached, r.State.Status(), schemas.StatusRolloutCancelled, "")
		return RolloutOutput{}, ctx.Err()
	}
	var out RolloutOutput
	revision, event := r.Target, schemas.StatusRolloutSucceeded
	switch r.State.Phase {
	case schemas.RolloutRolledBack:
		revision, event = r.Stable, schemas.StatusRolloutRolledBack
	case schemas.RolloutFailed:
		event = schemas.StatusRolloutFailed
	}
	if r.State.Phase != schemas.RolloutFailed {
		options := operationOptions(detached, operationTimeout, "settle "+r.Resource)
		if err := workflow.ExecuteActivity(options, activities.NameSettle, r.compute(revision)).Get(detached, &out); err != nil {
			return out, err
		}
	}
	r.tell(detached, r.State.Status(), event, "")
	if r.State.Phase == schemas.RolloutSucceeded {
		return out, nil
	}
	failure := *r.State.Failure
	failure.Resource = r.Resource
	kind := ErrorFailed
	if r.State.Phase == schemas.RolloutRolledBack {
		kind = ErrorRolledBack
	}
	return out, temporal.NewNonRetryableApplicationError(failure.Message, kind, nil, failure)
}
