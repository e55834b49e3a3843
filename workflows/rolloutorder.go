package workflows

import (
	"go.temporal.io/sdk/workflow"

	"windlass/plan/rollout"
	"windlass/schemas"
)

// receiveOrders takes what somebody asks of a rollout, and says whether there was something.
func receiveOrders(ctx workflow.Context, orders workflow.ReceiveChannel, take func(schemas.CommandReference)) bool {
	received := false
	var command schemas.CommandReference
	for orders.ReceiveAsync(&command) {
		received = true
		take(command)
		command = schemas.CommandReference{}
	}
	return received
}

// receive gives the rollout what somebody asks of it, and says whether there was
// something.
func (r *rolling) receive(ctx workflow.Context, orders workflow.ReceiveChannel) bool {
	return receiveOrders(ctx, orders, func(command schemas.CommandReference) { r.order(ctx, command) })
}

func (r *rolling) order(ctx workflow.Context, command schemas.CommandReference) {
	if err := r.State.Command(command.Order, command.Source, workflow.Now(ctx)); err != nil {
		r.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: err.Error()}))
		return
	}
	r.moved = true
	r.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
	if command.Order == schemas.RolloutPause {
		r.tell(ctx, r.State.Status(), schemas.StatusRolloutPaused, command.Source)
	}
	if !r.State.Step.Running {
		if p, ok := r.running[string(rollout.Analyse)]; ok {
			p.cancel() // what it measures is of no interest any more
		}
	}
}

// refuseRest rejects what comes to a rollout that has ended.
func (h *herald) refuseRest(ctx workflow.Context, orders workflow.ReceiveChannel) {
	receiveOrders(ctx, orders, func(command schemas.CommandReference) {
		h.outbox.add(ctx, rejected(ctx, command, schemas.Failure{Field: "data", Message: "the rollout has ended"}))
	})
}
