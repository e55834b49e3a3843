package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// Deploy takes reality to one revision: it observes and plans, pulls images, and
// runs the plan's operations as soon as their dependencies are done. When that
// fails it goes where the failure policy says; a rollback is never rolled back.
//
// It ends as completed, as cancelled, or as failed with an error of type
// ErrorFailed or ErrorRolledBack whose details are a schemas.Failure.
func Deploy(ctx workflow.Context, in DeployInput) error {
	d := &deployment{DeployInput: in, outbox: newOutbox(ctx), board: newBoard(in)}
	defer d.outbox.flush(ctx)

	// Told here and not by the Infrastructure, the two events go out together while
	// the plan is made, and starting the work waits for neither.
	d.outbox.add(ctx, accepted(in))
	d.tell(ctx, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Document: in.Revision.Reference})
	cause := "" // the plan says why
	if in.Destroy {
		cause = "everything is to be destroyed"
	}
	onFailure, err := d.converge(ctx, in.Revision, cause)
	switch {
	case err == nil:
		d.setStatus(ctx, d.succeeded())
		d.tell(ctx, schemas.StatusDeploymentSucceeded, schemas.DeploymentStatus{Final: true})
		return nil
	case ctx.Err() != nil:
		d.setStatus(ctx, StatusCancelled)
		failure := schemas.Failure{Kind: "Cancelled", Message: "the deployment was cancelled; what was done until then stays"}
		d.tell(ctx, schemas.StatusDeploymentCancelled, schemas.DeploymentStatus{Error: &failure, Final: true})
		return ctx.Err()
	}
	failure := activities.FailureOf(err)
	d.rejectIfInvalid(ctx, failure)
	if onFailure != schemas.OnFailureRollback || !d.touched {
		return d.fail(ctx, failure)
	}
	return d.rollBack(ctx, failure)
}

// accepted tells that the command got its revision.
func accepted(in DeployInput) schemas.Event {
	e := commandEvent(in.Command, schemas.StatusCommandAccepted)
	e.CorrelationID, e.Command.Revision = DeployID(in.Command.Scope, in.Revision.Number), in.Revision.Number
	return e
}

// deployment is the state of one run.
type deployment struct {
	DeployInput
	outbox  *outbox
	board   *board
	counter int
	// touched says that an operation has begun, so that there is something to undo.
	touched bool
	// pulled says that every image is there.
	pulled bool
	// rollingBack says that the way leads back.
	rollingBack bool
}

func (d *deployment) succeeded() string {
	if d.Destroy {
		return StatusDestroyed
	}
	return StatusReady
}

// converge takes reality to a revision. The cause says why in the events of the
// resources; empty leaves it to the plan.
func (d *deployment) converge(ctx workflow.Context, target activities.Revision, cause string) (schemas.FailurePolicy, error) {
	d.board.doing(ctx, "observing and planning")
	var plan activities.PlanOutput
	err := workflow.ExecuteActivity(
		operationOptions(ctx, planTimeout, fmt.Sprintf("plan revision %d of %s", target.Number, d.Command.Scope)),
		activities.NamePlan, activities.PlanInput{Scope: d.Command.Scope, Revision: target, Rollback: d.rollingBack},
	).Get(ctx, &plan)
	if err != nil {
		return schemas.OnFailureKeep, err
	}
	if !d.rollingBack {
		d.tell(ctx, schemas.StatusDeploymentPlanned, planned(plan))
	}
	d.board.show(plan)
	if err := d.pull(ctx, plan.Pulls); err != nil {
		return plan.OnFailure, err
	}
	d.pulled = true
	e := execution{deployment: d, plan: plan, target: target, cause: cause}
	return plan.OnFailure, e.run(ctx)
}

func planned(plan activities.PlanOutput) schemas.DeploymentStatus {
	var status schemas.DeploymentStatus
	for _, o := range plan.Operations {
		if !o.Action.Moves() {
			status.Unchanged++
		} else {
			status.Operations = append(status.Operations, o)
		}
	}
	return status
}

// pull makes every image available before anything that runs is touched. The
// first failure in the order of the document counts.
func (d *deployment) pull(ctx workflow.Context, pulls []activities.PullInput) error {
	if len(pulls) == 0 {
		return nil
	}
	d.board.doing(ctx, fmt.Sprintf("pulling %d images", len(pulls)))
	futures := make([]workflow.Future, len(pulls))
	for i, p := range pulls {
		futures[i] = workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, "pull "+p.Image), activities.NamePull, p)
	}
	var first error
	for _, f := range futures {
		if err := f.Get(ctx, nil); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// rejectIfInvalid turns a deployment that fails before anything was touched, by a
// fault of the document that only a provider can see, into a rejected command.
func (d *deployment) rejectIfInvalid(ctx workflow.Context, failure schemas.Failure) {
	ofDocument := map[string]bool{string(activities.NotFound): true, string(activities.Invalid): true, string(activities.Unauthorized): true}
	rejects := failure.Kind == string(activities.Protected) || ofDocument[failure.Kind] && failure.Field != "" && !d.Destroy
	if d.touched || d.pulled || !rejects {
		return
	}
	e := rejected(ctx, d.Command, failure)
	e.CorrelationID, e.Command.Revision = d.id(), d.Revision.Number
	d.outbox.add(ctx, e)
}

func (d *deployment) fail(ctx workflow.Context, failure schemas.Failure) error {
	d.setStatus(ctx, StatusFailed)
	d.tell(ctx, schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: &failure, Final: true})
	return temporal.NewNonRetryableApplicationError(failure.Message, ErrorFailed, nil, failure)
}

// rollBack goes to the last stable revision, or to nothing when there is none. It
// is not cancelled half way: stopping there would leave a mixture.
func (d *deployment) rollBack(ctx workflow.Context, failure schemas.Failure) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.rollingBack = true
	d.setStatus(ctx, StatusRollingBack)
	d.tell(ctx, schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: &failure, RollbackTo: &d.Stable.Number})
	cause := fmt.Sprintf("rollback to revision %d", d.Stable.Number)
	if d.Stable.Number == 0 {
		cause = "rollback of the first revision"
	}
	if _, err := d.converge(ctx, d.Stable, cause); err != nil {
		second := activities.FailureOf(err)
		second.Message = fmt.Sprintf("the %s failed too: %s; the deployment had failed with: %s", cause, second.Message, failure.Message)
		return d.fail(ctx, second)
	}
	d.setStatus(ctx, StatusRolledBack)
	d.tell(ctx, schemas.StatusDeploymentRolledBack, schemas.DeploymentStatus{Error: &failure, RollbackTo: &d.Stable.Number, Final: true})
	return temporal.NewNonRetryableApplicationError(failure.Message, ErrorRolledBack, nil, failure)
}

func (d *deployment) id() string { return DeployID(d.Command.Scope, d.Revision.Number) }

func (d *deployment) event(eventType, source, subject string) schemas.Event {
	d.counter++
	return schemas.Event{
		Type: eventType, Source: source, Subject: subject,
		Sequence:      schemas.DeploymentSequence(d.Revision.Number, d.counter),
		CorrelationID: d.id(), CausationID: d.Command.ID, TraceParent: d.Command.TraceParent,
	}
}

// tell publishes an event of the deployment itself.
func (d *deployment) tell(ctx workflow.Context, eventType string, status schemas.DeploymentStatus) {
	status.Scope, status.Revision, status.Destroy = d.Command.Scope, d.Revision.Number, d.Destroy
	e := d.event(eventType, schemas.DeploymentSource(d.Command.Scope, d.Revision.Number), d.Command.Scope.String())
	e.Deployment = &status
	d.outbox.add(ctx, e)
}

func (d *deployment) setStatus(ctx workflow.Context, status string) {
	d.board.status(ctx, status)
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttributeStatus.ValueSet(status)); err != nil {
		workflow.GetLogger(ctx).Error("search attribute is not set", "error", err)
	}
}
