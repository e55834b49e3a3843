package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"windlass/schemas"
)

// decide pauses the deployment until one of the decisions is taken. What comes and
// is no answer is rejected. It returns an error when the deployment is cancelled.
func (d *deployment) decide(ctx workflow.Context, why string, failure *schemas.Failure, decisions ...schemas.Decision) (schemas.Decision, error) {
	d.setStatus(ctx, StatusPaused)
	d.board.doing(ctx, why)
	d.tell(ctx, schemas.StatusDeploymentPaused, schemas.DeploymentStatus{Error: failure, Decisions: decisions})
	signals := workflow.GetSignalChannel(ctx, SignalDecision)
	for {
		if err := workflow.Await(ctx, func() bool { return signals.Len() > 0 }); err != nil {
			return "", err
		}
		var command schemas.CommandReference
		signals.ReceiveAsync(&command)
		if command.Of != d.Revision.Number || !slices.Contains(decisions, command.Decision) {
			d.refuse(ctx, command, fmt.Sprintf("revision %d of %s waits for one of %v", d.Revision.Number, d.Command.Scope, decisions))
			continue
		}
		d.setStatus(ctx, StatusDeploying)
		d.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
		d.tell(ctx, schemas.StatusDeploymentResumed, schemas.DeploymentStatus{Decision: command.Decision, By: command.Source})
		return command.Decision, nil
	}
}

// refuseRest rejects the decisions that nobody waited for.
func (d *deployment) refuseRest(ctx workflow.Context) {
	signals := workflow.GetSignalChannel(ctx, SignalDecision)
	var command schemas.CommandReference
	for signals.ReceiveAsync(&command) {
		d.refuse(ctx, command, fmt.Sprintf("revision %d of %s waits for no decision", d.Revision.Number, d.Command.Scope))
		command = schemas.CommandReference{}
	}
}

func (d *deployment) refuse(ctx workflow.Context, command schemas.CommandReference, reason string) {
	d.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: reason}))
}

// forward brings a decision to the deployment that runs, and an order to the rollout
// that it is for.
func (i *infrastructure) forward(ctx workflow.Context, command schemas.CommandReference) {
	id, signal, missing := DeployID(i.Scope, i.Revision), SignalDecision, fmt.Sprintf("no deployment of %s runs", i.Scope)
	if schemas.IsRolloutCommand(command.Type) {
		id, signal = RolloutID(i.Scope, i.Revision, command.Resource), SignalOrder
		missing = fmt.Sprintf("no rollout of %s in %s runs", command.Resource, i.Scope)
	}
	if i.running != nil {
		if err := workflow.SignalExternalWorkflow(ctx, id, "", signal, command).Get(ctx, nil); err == nil {
			return
		}
	}
	i.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: missing}))
}
