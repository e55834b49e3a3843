package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// execution runs the operations of one plan, each as soon as its dependencies are
// done. Each is an activity of its own, visible by its name; in a large plan those
// that are ready together go in batches, so that thousands stay within the limits of
// a history and the pace of one workflow.
type execution struct {
	*deployment
	plan   activities.PlanOutput
	target activities.Revision
	cause  string

	// waits counts the dependencies of each operation that are not done, dependents
	// are those that wait for it, by the places in the plan.
	waits      []int
	dependents [][]int
	// ready are the places of the operations that can start; those that became so
	// together are in the order of the plan.
	ready   []int
	running int
	// large says that the plan runs in batches.
	large  bool
	cancel workflow.CancelFunc
	// err is the first failure; no operation starts after it.
	err error
}

// batchLimit bounds the operations of one batch, whose input and result have to stay
// far below the payload limit of 2 MB.
const batchLimit = 250

// run returns the first failure, after every operation that was running has ended.
func (e *execution) run(ctx workflow.Context) error {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	ctx, e.cancel = workflow.WithCancel(ctx)
	e.link()
	e.start(ctx)
	e.board.doing(ctx, e.plan.Summary)
	_ = workflow.Await(detached, func() bool { return e.running == 0 })
	if e.err == nil {
		return ctx.Err()
	}
	return e.err
}

// start begins what is ready, as far as there is room.
func (e *execution) start(ctx workflow.Context) {
	for e.err == nil && ctx.Err() == nil && len(e.ready) > 0 && e.room() > 0 {
		places := e.take()
		e.touched = true
		e.running++
		workflow.GoNamed(ctx, e.plan.Operations[places[0]].ID, func(ctx workflow.Context) {
			e.perform(ctx, places)
			e.running--
			if e.err != nil && e.plan.OnFailure == schemas.OnFailureRollback && !e.rollingBack {
				e.cancel() // what still runs will be undone
			}
			e.start(ctx)
		})
	}
}

// link finds out what waits for what, and what is ready.
func (e *execution) link() {
	operations := e.plan.Operations
	moving := 0
	for _, o := range operations {
		if o.Action.Moves() {
			moving++
		}
	}
	e.large = moving > largePlan
	e.waits, e.dependents = make([]int, len(operations)), make([][]int, len(operations))
	places := make(map[string]int, len(operations))
	for i, o := range operations {
		places[o.ID] = i
	}
	for i, o := range operations {
		for _, dependency := range o.DependsOn {
			e.waits[i]++
			at := places[dependency]
			e.dependents[at] = append(e.dependents[at], i)
		}
	}
	for i, o := range operations {
		if len(o.DependsOn) == 0 {
			e.release(i)
		}
	}
	slices.Sort(e.ready)
}

// release makes an operation ready whose dependencies are done. One that moves
// nothing is done with that.
func (e *execution) release(i int) {
	o := e.plan.Operations[i]
	if o.Action.Moves() && (e.rollingBack || !slices.Contains(e.skipped, o.Resource)) {
		e.ready = append(e.ready, i)
		return
	}
	e.finish(i)
}

// finish releases what waited for an operation that is done.
func (e *execution) finish(i int) {
	for _, dependent := range e.dependents[i] {
		if e.waits[dependent]--; e.waits[dependent] == 0 {
			e.release(dependent)
		}
	}
}

// runsAlone says that an operation is never in a batch: it has a timeout of its own,
// or a workflow.
func runsAlone(o schemas.Operation) bool { return o.Timeout != 0 || o.Rollout != "" }

// take picks what runs next: one operation, or in a large plan a share of all that
// are ready, so that each batch that can start gets one.
func (e *execution) take() []int {
	n := 1
	if e.large {
		share := (len(e.ready) + e.room() - 1) / e.room()
		most := min(batchLimit, share)
		for n < most && !runsAlone(e.plan.Operations[e.ready[0]]) && !runsAlone(e.plan.Operations[e.ready[n]]) {
			n++
		}
	}
	taken := slices.Clone(e.ready[:n])
	e.ready = slices.Delete(e.ready, 0, n)
	return taken
}

// room is how many more activities can run.
func (e *execution) room() int {
	if e.large {
		return batches - e.running
	}
	return parallelism - e.running
}

// perform runs operations to their end.
func (e *execution) perform(ctx workflow.Context, places []int) {
	operations := make([]schemas.Operation, len(places))
	for i, place := range places {
		operations[i] = e.plan.Operations[place]
		e.began(ctx, operations[i])
	}
	results, err := e.execute(ctx, operations)
	released := len(e.ready)
	defer func() { slices.Sort(e.ready[released:]) }()
	for i, place := range places {
		o, failure := operations[i], err
		var outputs schemas.Outputs
		if err == nil {
			outputs = results[i].Outputs
			if f := results[i].Failure; f != nil {
				failure = temporal.NewNonRetryableApplicationError(f.Message, f.Kind, nil, *f)
			}
		}
		failure = timedOut(o, failure)
		e.ended(ctx, o, outputs, failure)
		if failure == nil {
			e.finish(place)
			continue
		}
		e.failed = append(e.failed, o.Resource)
		if e.err == nil {
			e.err = failure
		}
	}
}

// execute runs one operation by an activity of its own, more by a batch.
func (e *execution) execute(ctx workflow.Context, operations []schemas.Operation) ([]activities.BatchResult, error) {
	if len(operations) == 1 {
		outputs, err := e.executeOne(ctx, operations[0])
		return []activities.BatchResult{{Outputs: outputs}}, err
	}
	summary := fmt.Sprintf("%d operations, from %s on", len(operations), operations[0].ID)
	var out activities.BatchOutput
	in := activities.BatchInput{Scope: e.Command.Scope, Revision: e.target, Operations: operations}
	err := workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, summary), activities.NameBatch, in).Get(ctx, &out)
	return out.Results, err
}

func (e *execution) executeOne(ctx workflow.Context, o schemas.Operation) (schemas.Outputs, error) {
	if o.Rollout != "" {
		return e.rollOut(ctx, o)
	}
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
