package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// execution runs the operations of one plan, each in a coroutine of its own that
// starts when its dependencies are done.
type execution struct {
	*deployment
	plan   activities.PlanOutput
	target activities.Revision
	cause  string
	slots  workflow.Semaphore
	// done holds, for each operation, a future that is ready when it has ended; its
	// value is whether it succeeded.
	done map[string]workflow.Future
	// err is the first failure; no operation starts after it.
	err error
}

// run returns the first failure, after every operation that was running has ended.
func (e *execution) run(ctx workflow.Context) error {
	ctx, cancel := workflow.WithCancel(ctx)
	e.slots = workflow.NewSemaphore(ctx, parallelism)
	e.done = make(map[string]workflow.Future, len(e.plan.Operations))
	for _, o := range e.plan.Operations {
		future, settable := workflow.NewFuture(ctx)
		e.done[o.ID] = future
		workflow.GoNamed(ctx, o.ID, func(ctx workflow.Context) {
			err := e.operate(ctx, o)
			if err != nil && err != errNotStarted {
				e.failed = append(e.failed, o.Resource)
			}
			if err != nil && e.err == nil {
				e.err = err
				if e.plan.OnFailure == schemas.OnFailureRollback && !e.rollingBack {
					cancel() // what still runs will be undone
				}
			}
			settable.Set(err == nil, nil)
		})
	}
	e.board.doing(ctx, e.plan.Summary)
	for _, o := range e.plan.Operations {
		// The futures are set also when the run is cancelled.
		_ = e.done[o.ID].Get(ctx, nil)
	}
	return e.err
}

// operate waits for the dependencies and runs one operation. An operation that
// does not start because of another's failure is no failure itself.
func (e *execution) operate(ctx workflow.Context, o schemas.Operation) error {
	for _, dependency := range o.DependsOn {
		var succeeded bool
		if err := e.done[dependency].Get(ctx, &succeeded); err != nil {
			return err
		}
		if !succeeded {
			return errNotStarted
		}
	}
	if !o.Action.Moves() || !e.rollingBack && slices.Contains(e.skipped, o.Resource) {
		return nil
	}
	if err := e.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer e.slots.Release(1)
	if e.err != nil {
		return errNotStarted
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.touched = true
	e.began(ctx, o)
	outputs, err := e.execute(ctx, o)
	err = timedOut(o, err)
	e.ended(ctx, o, outputs, err)
	return err
}

// errNotStarted marks an operation that was left out because another one failed.
var errNotStarted = temporal.NewNonRetryableApplicationError("not started, since another operation failed", "NotStarted", nil)

func (e *execution) execute(ctx workflow.Context, o schemas.Operation) (schemas.Outputs, error) {
	scope := e.Command.Scope
	ctx = operationOptions(ctx, operationTimeout, string(o.Action)+" "+o.Resource+" ("+string(o.Type)+")")
	if o.Timeout > 0 {
		ctx = workflow.WithScheduleToCloseTimeout(ctx, time.Duration(o.Timeout))
	}
	if o.Action == schemas.ActionDelete {
		in := activities.DeleteInput{Scope: scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider}
		return nil, workflow.ExecuteActivity(ctx, activities.NameDelete, in).Get(ctx, nil)
	}
	in := activities.ApplyInput{Scope: scope, Revision: e.target, Resource: o.Resource}
	var out activities.ApplyOutput
	err := workflow.ExecuteActivity(ctx, activities.NameApply, in).Get(ctx, &out)
	return out.Outputs, err
}

var beginnings = map[schemas.Action]string{
	schemas.ActionCreate:  schemas.StatusResourceCreating,
	schemas.ActionUpdate:  schemas.StatusResourceUpdating,
	schemas.ActionReplace: schemas.StatusResourceReplacing,
	schemas.ActionDelete:  schemas.StatusResourceDeleting,
}

func (e *execution) began(ctx workflow.Context, o schemas.Operation) {
	e.board.began(ctx, o)
	status := e.status(o)
	status.Cause = o.Cause
	if e.cause != "" {
		status.Cause = e.cause
	}
	e.tellResource(ctx, beginnings[o.Action], status)
}

func (e *execution) ended(ctx workflow.Context, o schemas.Operation, outputs schemas.Outputs, err error) {
	e.board.ended(ctx, o, err)
	status := e.status(o)
	switch {
	case err != nil:
		failure := activities.FailureOf(err)
		if temporal.IsCanceledError(err) {
			failure = schemas.Failure{Kind: "Cancelled", Message: "was interrupted"}
		}
		status.Error = &failure
		e.tellResource(ctx, schemas.StatusResourceFailed, status)
	case o.Action == schemas.ActionDelete:
		e.tellResource(ctx, schemas.StatusResourceDeleted, status)
	default:
		status.Outputs = outputs
		e.tellResource(ctx, schemas.StatusResourceReady, status)
	}
}

func (e *execution) status(o schemas.Operation) schemas.ResourceStatus {
	return schemas.ResourceStatus{
		Scope: e.Command.Scope, Revision: e.target.Number, Resource: o.Resource, Type: o.Type, Provider: o.Provider,
		DependsOn: e.plan.Resources[o.Resource],
	}
}

func (e *execution) tellResource(ctx workflow.Context, eventType string, status schemas.ResourceStatus) {
	event := e.event(eventType, schemas.ResourceSource(status.Scope, status.Resource), status.Resource)
	event.Resource = &status
	e.outbox.add(ctx, event)
}
