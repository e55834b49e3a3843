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
		s.declare(ctx)
		s.watch(ctx)
		s.tellProgress(ctx, s.Supervision.Status())
		if !s.Supervision.Done() {
			s.wait(ctx, orders)
		}
	}
	s.stop(ctx)
	return s.end(ctx)
}

// supervisor is the state of one run.
type supervisor struct {
	herald
	// declaring is the way that the place is being told; nil is none. recall calls that off.
	declaring *supervision.Way
	recall    workflow.CancelFunc
	// watching is set while an activity watches; forget ends it.
	watching bool
	forget   workflow.CancelFunc
	// moved says that there is something to decide.
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

// declare has the place told where the way leads, by the side. What it is being told of
// another way is called off, and has ended before it is told this one.
func (s *supervisor) declare(ctx workflow.Context) {
	way := s.Supervision.Way
	switch {
	case s.Supervision.Done():
		return
	case s.declaring != nil:
		if *s.declaring != way {
			s.recall()
		}
		return
	case s.Supervision.Begun:
		return
	}
	s.stopWatching(ctx)
	s.Supervision.Telling()
	s.declaring = &way
	ctx, s.recall = workflow.WithCancel(ctx)
	summary := fmt.Sprintf("declare %s of revision %d", s.Resource, s.goal().Number)
	if way.Paused {
		summary = "pause " + s.Resource
	}
	in := activities.DeclareInput{ComputeInput: s.compute(s.goal()), Paused: way.Paused, Beside: way.Beside}
	workflow.GoNamed(ctx, summary, func(ctx workflow.Context) {
		err := workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, summary), activities.NameDeclareVersion, in).Get(ctx, nil)
		s.declaring, s.moved = nil, true
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.Supervision.Refused(way, activities.FailureOf(err), workflow.Now(ctx))
		default:
			s.Supervision.Told(way)
		}
	})
}

// watch has the exchange watched, by the side, once the place knows where the way leads.
func (s *supervisor) watch(ctx workflow.Context) {
	if s.watching || s.Supervision.Done() || !s.Supervision.Begun {
		return
	}
	s.watching = true
	way := s.Supervision.Way
	ctx, s.forget = workflow.WithCancel(ctx)
	in := activities.ExchangeInput{ComputeInput: s.compute(s.goal()), Beside: way.Beside, Seen: s.Supervision.Seen}
	workflow.GoNamed(ctx, "watch", func(ctx workflow.Context) {
		var out supervision.Exchange
		options := watchOptions(ctx, "watch the replicas of "+s.Resource)
		err := workflow.ExecuteActivity(options, activities.NameWatchExchange, in).Get(ctx, &out)
		s.watching, s.moved = false, true
		switch {
		case ctx.Err() != nil || s.Supervision.Back != way.Back || s.Supervision.Beside != way.Beside: // it is of no interest any more
		case err != nil:
			s.Supervision.Fail(activities.FailureOf(err), workflow.Now(ctx))
		default:
			s.Supervision.Moved(out, workflow.Now(ctx))
		}
	})
}

// stopWatching forgets the watch.
func (s *supervisor) stopWatching(ctx workflow.Context) {
	if !s.watching {
		return
	}
	s.forget()
	detached, _ := workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(detached, func() bool { return !s.watching })
}

// wait returns when the place has told something, somebody asks for something, or a time
// has come.
func (s *supervisor) wait(ctx workflow.Context, orders workflow.ReceiveChannel) {
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
	if ctx.Err() != nil {
		return
	}
	failed := s.Supervision.Failure != nil
	if s.Supervision.Tick(workflow.Now(ctx)); s.Supervision.Failure != nil && !failed {
		s.explain(ctx)
	}
}

// explain looks at what the target version is waiting for, before it is gone.
func (s *supervisor) explain(ctx workflow.Context) {
	var out activities.InspectOutput
	options := orderOptions(ctx, "look at what "+s.Resource+" waits for")
	if err := workflow.ExecuteActivity(options, activities.NameInspectReplicas, s.compute(s.Target)).Get(ctx, &out); err != nil {
		workflow.GetLogger(ctx).Warn("the failure is told without evidence", "resource", s.Resource, "error", err)
		return
	}
	s.Supervision.Explain(out.Evidence)
}

// rested has nothing run and tells what is to be told, so that a new run can go on. It is
// false when the rollout has to be looked after first.
func (s *supervisor) rested(ctx workflow.Context, orders workflow.ReceiveChannel) bool {
	if s.declaring != nil {
		return false
	}
	s.stopWatching(ctx)
	s.outbox.flush(ctx)
	for s.receive(ctx, orders) {
		s.outbox.flush(ctx)
	}
	return ctx.Err() == nil && !s.Supervision.Done()
}

// stop has nothing run any more.
func (s *supervisor) stop(ctx workflow.Context) {
	s.stopWatching(ctx)
	if s.declaring != nil {
		s.recall()
	}
	detached, _ := workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(detached, func() bool { return s.declaring == nil })
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
	if !s.Supervision.Moving() {
		return
	}
	in := activities.DeclareInput{ComputeInput: s.compute(s.goal()), Paused: true, Beside: s.Supervision.Beside}
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
