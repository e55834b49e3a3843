package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// isOrder says whether a command is nothing that gets a revision. Such a one does not
// wait for the deployment that runs.
func isOrder(command schemas.CommandReference) bool {
	switch command.Type {
	case schemas.CommandDeploymentRequested, schemas.CommandDestroyRequested, schemas.CommandScaleRequested:
		return false
	}
	return true
}

// order serves such a command at once.
func (i *infrastructure) order(ctx workflow.Context, command schemas.CommandReference) {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	switch command.Type {
	case schemas.CommandUnprotectRequested:
		i.unprotect(detached, command)
	case schemas.CommandCancelRequested:
		i.cancel(detached, command)
	case schemas.CommandResyncRequested:
		i.resync(detached, command)
	default:
		i.forward(detached, command)
	}
}

// cancel ends the deployment that runs. What waits behind it is served next.
func (i *infrastructure) cancel(ctx workflow.Context, command schemas.CommandReference) {
	if i.running == nil {
		i.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: fmt.Sprintf("no deployment of %s runs", i.Scope)}))
		return
	}
	i.running()
	i.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
}

// unprotect lifts the protection of the resources that the command names.
func (i *infrastructure) unprotect(ctx workflow.Context, command schemas.CommandReference) {
	var out activities.UnprotectOutput
	err := workflow.ExecuteActivity(
		orderOptions(ctx, "unprotect resources of "+i.Scope.String()),
		activities.NameUnprotect, activities.UnprotectInput{Command: command},
	).Get(ctx, &out)
	if err != nil {
		i.outbox.add(ctx, rejected(ctx, command, activities.FailureOf(err)))
		return
	}
	i.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
	for _, status := range out.Resources {
		i.outbox.add(ctx, schemas.Event{
			Type: schemas.StatusResourceUnprotected, Source: schemas.ResourceSource(status.Scope, status.Resource) + "/protection", Subject: status.Resource,
			Sequence: schemas.CommandSequence(command.Sequence), CausationID: command.ID, TraceParent: command.TraceParent,
			Resource: &status,
		})
	}
}

// resync has the records made anew, unless a deployment runs, which keeps them.
func (i *infrastructure) resync(ctx workflow.Context, command schemas.CommandReference) {
	if i.running != nil {
		i.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: fmt.Sprintf("a deployment of %s runs, and keeps the records itself", i.Scope)}))
		return
	}
	var out activities.ResyncOutput
	options := orderOptions(ctx, "make the records of "+i.Scope.String()+" anew")
	in := activities.ResyncInput{Scope: i.Scope, Revision: i.Revision, Stable: i.Stable.Number}
	if err := workflow.ExecuteActivity(options, activities.NameResync, in).Get(ctx, &out); err != nil {
		i.outbox.add(ctx, rejected(ctx, command, activities.FailureOf(err)))
		return
	}
	// Where this run has no memory either, numbers go on from what is found.
	i.Revision = max(i.Revision, out.Revision)
	i.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
}
