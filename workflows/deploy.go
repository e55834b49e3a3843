package workflows

import (
	"fmt"
	"time"

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
func Deploy(ctx workflow.Context, in DeployInput) (DeployOutput, error) {
	d := &deployment{DeployInput: in, outbox: newOutbox(ctx), board: newBoard(in)}
	defer func() {
		d.refuseRest(ctx)
		d.outbox.flush(ctx)
	}()

	// Told here and not by the Infrastructure, the two events go out together while
	// the plan is made, and starting the work waits for neither.
	if !in.Heal {
		d.outbox.add(ctx, accepted(in))
	}
	d.tell(ctx, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Document: in.Revision.Reference})
	cause := "" // the plan says why
	if in.Destroy {
		cause = "everything is to be destroyed"
	}
	plan, err := d.converge(ctx, in.Revision, cause)
	for err != nil && plan.OnFailure == schemas.OnFailurePause && d.touched && !in.Heal && ctx.Err() == nil {
		failure := activities.FailureOf(err)
		decision, cancelled := d.decide(ctx, "an operation failed; somebody has to decide", &failure, schemas.DecisionRetry, schemas.DecisionSkip, schemas.DecisionRollback)
		if cancelled != nil {
			break
		}
		if decision == schemas.DecisionRollback {
			return DeployOutput{}, d.rollBack(ctx, failure)
		}
		if decision == schemas.DecisionSkip {
			d.skipped = append(d.skipped, d.failed...)
		}
		plan, err = d.converge(ctx, in.Revision, cause)
	}
	switch {
	case err == nil:
		d.setStatus(ctx, d.succeeded())
		d.tell(ctx, schemas.StatusDeploymentSucceeded, schemas.DeploymentStatus{Skipped: d.skipped, Partial: plan.Partial, Final: true})
		return DeployOutput{Drift: plan.Drift, Partial: plan.Partial || len(d.skipped) > 0}, nil
	case ctx.Err() != nil:
		d.setStatus(ctx, StatusCancelled)
		failure := schemas.Failure{Kind: "Cancelled", Message: "the deployment was cancelled; what was done until then stays"}
		d.tell(ctx, schemas.StatusDeploymentCancelled, schemas.DeploymentStatus{Error: &failure, Final: true})
		return DeployOutput{}, ctx.Err()
	}
	failure := activities.FailureOf(err)
	d.rejectIfInvalid(ctx, failure)
	// What heals goes to the stable revision itself: there is nowhere else to go back to.
	if plan.OnFailure != schemas.OnFailureRollback || !d.touched || in.Heal {
		return DeployOutput{}, d.fail(ctx, failure)
	}
	return DeployOutput{}, d.rollBack(ctx, failure)
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
	// approved is the fingerprint of the plan that somebody approved.
	approved string
	// failed are the resources of which an operation of the present plan failed,
	// skipped those that are left so.
	failed, skipped []string
	// rollingBack says that the way leads back.
	rollingBack bool
	// attempts counts the plans that were run.
	attempts int
}

func (d *deployment) succeeded() string {
	if d.Destroy {
		return StatusDestroyed
	}
	return StatusReady
}

// converge takes reality to a revision. The cause says why in the events of the
// resources; empty leaves it to the plan.
func (d *deployment) converge(ctx workflow.Context, target activities.Revision, cause string) (activities.PlanOutput, error) {
	plan, err := d.plan(ctx, target)
	if err != nil {
		return activities.PlanOutput{OnFailure: schemas.OnFailureKeep}, err
	}
	if err := d.pull(ctx, plan.Pulls); err != nil {
		return plan, err
	}
	d.pulled = true
	d.attempts++
	e := execution{deployment: d, plan: plan, target: target, cause: cause}
	return plan, e.run(ctx)
}

// plan observes and plans, and waits until somebody approves the plan where that
// is needed. A plan that went stale while it waited is made again, and waits again.
func (d *deployment) plan(ctx workflow.Context, target activities.Revision) (activities.PlanOutput, error) {
	for {
		d.board.doing(ctx, "observing and planning")
		d.failed = nil
		in := activities.PlanInput{Scope: d.Command.Scope, Revision: target, Rollback: d.rollingBack || d.Heal}
		if d.Destroy {
			in.Stable = d.Stable
		}
		var plan activities.PlanOutput
		options := operationOptions(ctx, planTimeout, fmt.Sprintf("plan revision %d of %s", target.Number, d.Command.Scope))
		if err := workflow.ExecuteActivity(options, activities.NamePlan, in).Get(ctx, &plan); err != nil {
			return plan, err
		}
		d.board.show(plan)
		status := planned(plan)
		if !d.rollingBack && (d.approved == "" || plan.Fingerprint != d.approved) {
			d.tell(ctx, schemas.StatusDeploymentPlanned, status)
		}
		if !plan.Approval || !plan.Moves() || d.rollingBack || d.Heal || d.touched || plan.Fingerprint == d.approved {
			return plan, nil
		}
		if _, err := d.decide(ctx, "the plan waits for approval: "+plan.Summary, nil, schemas.DecisionApprove); err != nil {
			return plan, err
		}
		d.approved = plan.Fingerprint
	}
}

// listedOperations bounds the operations in deployment.planned, which has to stay far
// below the 1 MB that NATS takes.
const listedOperations = 1000

func planned(plan activities.PlanOutput) schemas.DeploymentStatus {
	var status schemas.DeploymentStatus
	for _, o := range plan.Operations {
		if !o.Action.Moves() {
			status.Unchanged++
		} else {
			status.Operations = append(status.Operations, o)
		}
	}
	if len(status.Operations) > listedOperations {
		status.Operations, status.Summary = nil, plan.Summary
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
		options := operationOptions(ctx, operationTimeout, "pull "+p.Image)
		if p.Timeout > 0 {
			options = workflow.WithScheduleToCloseTimeout(options, time.Duration(p.Timeout))
		}
		futures[i] = workflow.ExecuteActivity(options, activities.NamePull, p)
	}
	var first error
	for i, f := range futures {
		err := f.Get(ctx, nil)
		if p := pulls[i]; err != nil && p.Timeout > 0 && ranOutOfTime(err) {
			err = tooLongPull(p, err)
		}
		if err != nil && first == nil {
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
	if d.touched || d.pulled || d.Heal || !rejects {
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
