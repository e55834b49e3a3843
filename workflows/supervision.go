package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// supervise is the rollout of a Compute whose place exchanges the replicas by itself.
// What happens when is decided by package supervision: this declares a version, watches
// what the place makes of it, and tells how that goes on.
func supervise(ctx workflow.Context, in RolloutInput) (RolloutOutput, error) {
	s := &supervisor{herald: herald{RolloutInput: &in, outbox: newOutbox(ctx)}}
	defer s.outbox.flush(ctx)
	if s.Supervision == nil {
		if err := s.lookUp(ctx); err != nil {
			return RolloutOutput{}, err
		}
	}
	orders := workflow.GetSignalChannel(ctx, SignalOrder)
	defer s.refuseRest(ctx, orders)
	for !s.Supervision.Done() && ctx.Err() == nil {
		s.receive(ctx, orders)
		if isLong(ctx) && s.rested(ctx, orders) {
			return RolloutOutput{}, workflow.NewContinueAsNewError(ctx, NameRollout, in)
		}
		if !s.Supervision.Done() && !s.Supervision.Begun {
			s.declare(ctx)
		}
		s.tellProgress(ctx, s.Supervision.Status())
		if s.Supervision.Done() || !s.Supervision.Begun {
			continue
		}
		s.watch(ctx, orders)
	}
	s.stopWatching(ctx)
	return s.end(ctx)
}

// supervisor is the state of one run.
type supervisor struct {
	herald
	// watching is set while an activity watches; forget ends it.
	watching bool
	forget   workflow.CancelFunc
	// moved says that the watch has told something.
	moved bool
}

// lookUp finds the versions, and begins.
func (s *supervisor) lookUp(ctx workflow.Context) error {
	var out activities.VersionsOutput
	in := activities.SurveyInput{ComputeInput: s.compute(s.Target), Stable: s.Stable}
	options := operationOptions(ctx, planTimeout, "look up the versions of "+s.Resource)
	if err := workflow.ExecuteActivity(options, activities.NameLookUpVersions, in).Get(ctx, &out); err != nil {
		return err
	}
	s.Supervision = supervision.New(out.Strategy, out.Target, out.Stable, s.GoesBack, workflow.Now(ctx))
	s.tell(ctx, s.Supervision.Status(), schemas.StatusRolloutStarted, "")
	return nil
}

// compute is the Compute as a revision declares it.
func (s *supervisor) compute(revision activities.Revision) activities.ComputeInput {
	return activities.ComputeInput{Scope: s.Command.Scope, Resource: s.Resource, Revision: revision}
}

// goal is the revision that the way leads to at present.
func (s *supervisor) goal() activities.Revision {
	if s.Supervision.Back {
		return s.Stable
	}
	return s.Target
}

// declare tells the place where the way leads. It is not called off half way: what was
// asked for meanwhile comes next.
func (s *supervisor) declare(ctx workflow.Context) {
	s.stopWatching(ctx)
	summary := fmt.Sprintf("declare %s of revision %d", s.Resource, s.goal().Number)
	if s.Supervision.Paused {
		summary = "pause " + s.Resource
	}
	in := activities.DeclareInput{ComputeInput: s.compute(s.goal()), Paused: s.Supervision.Paused}
	err := workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, summary), activities.NameDeclareVersion, in).Get(ctx, nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.Supervision.Fail(activities.FailureOf(err), workflow.Now(ctx))
	default:
		s.Supervision.Declared()
	}
}

// watch waits until the place tells something, somebody asks for something, or a time has
// come.
func (s *supervisor) watch(ctx workflow.Context, orders workflow.ReceiveChannel) {
	if !s.watching {
		s.watching, s.moved = true, false
		var watched workflow.Context
		watched, s.forget = workflow.WithCancel(ctx)
		workflow.GoNamed(watched, "watch", func(ctx workflow.Context) { s.observe(ctx, s.Supervision.Back) })
	}
	wake := s.Supervision.Wake()
	if !s.due.IsZero() && (wake.IsZero() || s.due.Before(wake)) {
		wake = s.due
	}
	happened := func() bool { return s.moved || orders.Len() > 0 }
	if wake.IsZero() {
		_ = workflow.Await(ctx, happened)
	} else {
		_, _ = workflow.AwaitWithTimeout(ctx, max(0, wake.Sub(workflow.Now(ctx))), happened)
	}
	s.moved = false
	if ctx.Err() == nil {
		s.Supervision.Tick(workflow.Now(ctx))
	}
}

// observe tells the state of one change of the exchange. On another way than the one it
// began on it tells nothing.
func (s *supervisor) observe(ctx workflow.Context, back bool) {
	defer func() { s.watching, s.moved = false, true }()
	var out supervision.Exchange
	in := activities.ExchangeInput{ComputeInput: s.compute(s.goal()), Seen: s.Supervision.Seen}
	options := operationOptions(ctx, watchTimeout, "watch the replicas of "+s.Resource)
	err := workflow.ExecuteActivity(options, activities.NameWatchExchange, in).Get(ctx, &out)
	switch {
	case ctx.Err() != nil || s.Supervision.Back != back || temporal.IsCanceledError(err):
	case err != nil:
		s.Supervision.Fail(activities.FailureOf(err), workflow.Now(ctx))
	default:
		s.Supervision.Moved(out, workflow.Now(ctx))
	}
}

// stopWatching ends the watch and waits until it has ended.
func (s *supervisor) stopWatching(ctx workflow.Context) {
	if !s.watching {
		return
	}
	s.forget()
	detached, _ := workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(detached, func() bool { return !s.watching })
	s.moved = false
}

// rested stops watching and tells what is to be told, so that a new run can go on. It is
// false when the rollout is cancelled meanwhile.
func (s *supervisor) rested(ctx workflow.Context, orders workflow.ReceiveChannel) bool {
	s.stopWatching(ctx)
	s.outbox.flush(ctx)
	for s.receive(ctx, orders) {
		s.outbox.flush(ctx)
	}
	return ctx.Err() == nil && !s.Supervision.Done()
}

// end leaves the place with what there is, and says how the rollout ended.
func (s *supervisor) end(ctx workflow.Context) (RolloutOutput, error) {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	if !s.Supervision.Done() {
		s.stay(detached)
		s.Supervision.Phase = schemas.RolloutCancelled
		s.tell(detached, s.Supervision.Status(), schemas.StatusRolloutCancelled, "")
		return RolloutOutput{}, ctx.Err()
	}
	var out RolloutOutput
	event := schemas.StatusRolloutSucceeded
	switch s.Supervision.Phase {
	case schemas.RolloutRolledBack:
		event = schemas.StatusRolloutRolledBack
	case schemas.RolloutFailed:
		event = schemas.StatusRolloutFailed
		s.stay(detached)
	}
	if s.Supervision.Phase != schemas.RolloutFailed {
		options := operationOptions(detached, operationTimeout, "finish "+s.Resource)
		if err := workflow.ExecuteActivity(options, activities.NameFinishRollout, s.compute(s.goal())).Get(detached, &out); err != nil {
			return out, err
		}
	}
	s.tell(detached, s.Supervision.Status(), event, "")
	if s.Supervision.Phase == schemas.RolloutSucceeded {
		return out, nil
	}
	failure := *s.Supervision.Failure
	failure.Resource = s.Resource
	kind := ErrorFailed
	if s.Supervision.Phase == schemas.RolloutRolledBack {
		kind = ErrorRolledBack
	}
	return out, temporal.NewNonRetryableApplicationError(failure.Message, kind, nil, failure)
}

// stay has the place leave the replicas as they are: a rollout that was given up does not
// go on by itself. A place that does not answer is left alone after some attempts.
func (s *supervisor) stay(ctx workflow.Context) {
	in := activities.DeclareInput{ComputeInput: s.compute(s.goal()), Paused: true}
	if err := workflow.ExecuteActivity(orderOptions(ctx, "leave "+s.Resource+" as it is"), activities.NameDeclareVersion, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("the exchange of replicas may go on", "resource", s.Resource, "error", err)
	}
}

// receive gives the rollout what somebody asks of it, and says whether there was
// something.
func (s *supervisor) receive(ctx workflow.Context, orders workflow.ReceiveChannel) bool {
	return receiveOrders(ctx, orders, func(command schemas.CommandReference) {
		if err := s.Supervision.Command(command.Order, command.Source, workflow.Now(ctx)); err != nil {
			s.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: err.Error()}))
			return
		}
		s.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
		if command.Order == schemas.RolloutPause {
			s.tell(ctx, s.Supervision.Status(), schemas.StatusRolloutPaused, command.Source)
		}
	})
}
