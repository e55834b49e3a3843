package workflows

import (
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/schemas"
)

// rollOut runs an operation by a workflow of its own.
func (e *execution) rollOut(ctx workflow.Context, o schemas.Operation) (schemas.Outputs, error) {
	in := RolloutInput{
		Command: e.Command, Deployment: e.Revision.Number, Target: e.target, Stable: e.Stable, Resource: o.Resource,
		GoesBack: e.plan.OnFailure == schemas.OnFailureRollback && !e.rollingBack && !e.Heal,
		Told:     e.attempts * toldPerRollout, Supervised: o.Supervised,
	}
	id := RolloutID(e.Command.Scope, e.Revision.Number, o.Resource)
	if e.rollingBack {
		id += "/rollback"
	}
	options := workflow.ChildWorkflowOptions{
		WorkflowID:          id,
		StaticSummary:       fmt.Sprintf("%s of %s to revision %d", o.Rollout, o.Resource, e.target.Number),
		StaticDetails:       "Its replicas move to another version, since " + o.Why(),
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeEnvironment.ValueSet(e.Command.Environment),
			AttributeInfrastructure.ValueSet(e.Command.Infrastructure),
			AttributeRevision.ValueSet(int64(e.Revision.Number)),
		),
	}
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	late := false
	if o.Timeout > 0 {
		workflow.GoNamed(ctx, "timeout of "+o.ID, func(ctx workflow.Context) {
			if workflow.Sleep(ctx, time.Duration(o.Timeout)) == nil {
				late = true
				cancel()
			}
		})
	}
	var out RolloutOutput
	err := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), NameRollout, in).Get(ctx, &out)
	if late && temporal.IsCanceledError(err) {
		err = overdue(o, "")
	}
	return out.Outputs, err
}

// toldPerRollout is room for the numbers of the events of one rollout: a Compute may
// have one on each way that its deployment tries.
const toldPerRollout = 1_000_000
