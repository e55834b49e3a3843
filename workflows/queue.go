package workflows

import (
	"cmp"
	"slices"

	"go.temporal.io/sdk/workflow"

	"windlass/schemas"
)

// drain empties a channel of signals without data, and says whether there was one.
func drain(signals workflow.ReceiveChannel) bool {
	drained := false
	for signals.ReceiveAsync(nil) {
		drained = true
	}
	return drained
}

// receive queues every command that has arrived and says whether there was one.
func (i *infrastructure) receive(ctx workflow.Context, commands workflow.ReceiveChannel) bool {
	received := false
	var command schemas.CommandReference
	for commands.ReceiveAsync(&command) {
		i.enqueue(ctx, command)
		command = schemas.CommandReference{}
		received = true
	}
	return received
}

func (i *infrastructure) enqueue(ctx workflow.Context, command schemas.CommandReference) {
	if slices.Contains(i.Seen, command.Key) {
		workflow.GetLogger(ctx).Info("the command is known already", "id", command.ID)
		return
	}
	i.Seen = append(i.Seen, command.Key)
	if surplus := len(i.Seen) - rememberedCommands; surplus > 0 {
		i.Seen = slices.Clone(i.Seen[surplus:])
	}
	// A run that took over from one that was ended by hand has no memory; what the
	// trigger knows keeps revision numbers rising.
	i.Revision = max(i.Revision, command.LastRevision)
	if isOrder(command) {
		i.order(ctx, command)
		return
	}
	if i.Served.ID != "" && older(command, i.Served) < 0 {
		i.tellSuperseded(ctx, command, i.Served)
		return
	}
	if command.Supersede && i.running != nil {
		i.running()
	}
	at, _ := slices.BinarySearchFunc(i.Queue, command, older)
	i.Queue = slices.Insert(i.Queue, at, command)
}

// older orders commands by when they were published. A worker that dies gives back
// what it held out of turn, so commands do not always arrive in that order.
func older(a, b schemas.CommandReference) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Sequence, b.Sequence))
}

// supersede drops from the queue what a newer command in it makes needless: every
// deployment but the last. A destruction is always served, since what it removes is not
// the same when it comes back, and so is what scales the last deployment.
func (i *infrastructure) supersede(ctx workflow.Context) {
	last := len(i.Queue) - 1
	for last >= 0 && i.Queue[last].Type == schemas.CommandScaleRequested {
		last--
	}
	if last < 1 {
		return
	}
	newest := i.Queue[last]
	kept := i.Queue[:0:0]
	for at, command := range i.Queue {
		if at >= last || command.Type == schemas.CommandDestroyRequested {
			kept = append(kept, command)
			continue
		}
		i.tellSuperseded(ctx, command, newest)
	}
	i.Queue = kept
}

func (i *infrastructure) tellSuperseded(ctx workflow.Context, command, by schemas.CommandReference) {
	i.outbox.add(ctx, supersededEvent(command, by))
}

func supersededEvent(command, by schemas.CommandReference) schemas.Event {
	e := commandEvent(command, schemas.StatusCommandSuperseded)
	e.Source += "/superseded"
	e.Command.SupersededBy = by.ID
	return e
}

// commandEvent is an event about a command itself.
func commandEvent(command schemas.CommandReference, eventType string) schemas.Event {
	return schemas.Event{
		Type: eventType, Source: schemas.CommandSource(command.Scope), Subject: command.Scope.String(),
		Sequence: schemas.CommandSequence(command.Sequence), CausationID: command.ID, TraceParent: command.TraceParent,
		Command: &schemas.CommandStatus{Scope: command.Scope, CommandType: command.Type},
	}
}
