package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// scaled is where the stable revision's document is stored with the replicas that a
// command asks for. It is empty, and the command rejected, where that cannot be.
func (i *infrastructure) scaled(ctx workflow.Context, command schemas.CommandReference) string {
	refuse := func(failure schemas.Failure) string {
		i.outbox.add(ctx, rejected(ctx, command, failure))
		return ""
	}
	switch {
	case i.Stable.Number == 0:
		return refuse(schemas.Failure{Field: "data", Message: fmt.Sprintf("nothing of %s is deployed that could be scaled", i.Scope), Hint: "deploy it first"})
	case i.Partial:
		return refuse(schemas.Failure{Field: "data", Message: fmt.Sprintf("the last deployment of %s left something out", i.Scope), Hint: "deploy it whole first"})
	}
	var out activities.ScaleOutput
	detached, _ := workflow.NewDisconnectedContext(ctx)
	options := orderOptions(detached, "scale "+i.Scope.String())
	if err := workflow.ExecuteActivity(options, activities.NameScale, activities.ScaleInput{Command: command, Of: i.Stable}).Get(detached, &out); err != nil {
		return refuse(activities.FailureOf(err))
	}
	return out.Reference
}
