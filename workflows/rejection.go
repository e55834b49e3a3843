package workflows

import (
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// rejected keeps a command that was accepted and turned out to be unservable as a
// dead letter, and returns the event that tells so.
func rejected(ctx workflow.Context, command schemas.CommandReference, failure schemas.Failure) schemas.Event {
	faults := schemas.Faults{{Field: failure.Field, Line: failure.Line, Reason: reason(failure)}}
	detached, _ := workflow.NewDisconnectedContext(ctx)
	in := activities.RejectInput{Command: command, Faults: faults}
	if err := workflow.ExecuteActivity(publishOptions(detached, "dead letter"), activities.NameReject, in).Get(detached, nil); err != nil {
		workflow.GetLogger(ctx).Error("the dead letter is not written", "error", err)
	}
	e := commandEvent(command, schemas.StatusCommandRejected)
	e.Source += "/rejections"
	e.Command.Faults = faults
	return e
}

// reason is all that a failure says for people; a fault has no hint of its own.
func reason(failure schemas.Failure) string {
	if failure.Hint == "" {
		return failure.Message
	}
	return failure.Message + "; " + failure.Hint
}
