package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

const (
	// rememberedCommands bounds the keys of commands that are known as copies when
	// they come again.
	rememberedCommands = 1000
	// longHistory is where a run continues as new although Temporal does not
	// suggest it yet: an idle run stays cheap to load.
	longHistory = 2000
)

// Infrastructure is the lock, the queue and the memory of one Infrastructure. It
// serves commands one after the other, each by a Deploy workflow, and does no work
// itself.
func Infrastructure(ctx workflow.Context, in InfrastructureInput) error {
	i := &infrastructure{InfrastructureInput: in, outbox: newOutbox(ctx)}
	commands := workflow.GetSignalChannel(ctx, SignalCommand)
	for {
		i.receive(ctx, commands)
		switch {
		case ctx.Err() == nil && isLong(ctx):
			i.outbox.flush(ctx)
			i.receive(ctx, commands)
			return workflow.NewContinueAsNewError(ctx, NameInfrastructure, i.InfrastructureInput)
		case len(i.Queue) > 0:
			command := i.Queue[0]
			i.Queue = i.Queue[1:]
			i.serve(ctx, command, commands)
		case ctx.Err() != nil:
			i.outbox.flush(ctx)
			if !i.receive(ctx, commands) { // one that came meanwhile is answered too
				return ctx.Err()
			}
		default:
			i.describe(ctx, "waiting for commands")
			i.wait(ctx, commands)
		}
	}
}

// isLong says that the history has grown enough. The queue goes along to the next
// run, so that commands that keep coming do not keep the history growing.
func isLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longHistory
}

type infrastructure struct {
	InfrastructureInput
	outbox *outbox
	// running cancels the deployment that runs; nil when none does.
	running workflow.CancelFunc
}

// wait returns when a command is there or the run is cancelled.
func (i *infrastructure) wait(ctx workflow.Context, commands workflow.ReceiveChannel) {
	_ = workflow.Await(ctx, func() bool { return commands.Len() > 0 })
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
	at, _ := slices.BinarySearchFunc(i.Queue, command, older)
	i.Queue = slices.Insert(i.Queue, at, command)
}

// older orders commands by when they were published. A worker that dies gives back
// what it held out of turn, so commands do not always arrive in that order.
func older(a, b schemas.CommandReference) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Sequence, b.Sequence))
}

// supersede drops from the queue what a newer command in it makes needless: every
// deployment but the last command. A destruction is always served, since what it
// removes is not the same when it comes back.
func (i *infrastructure) supersede(ctx workflow.Context) {
	if len(i.Queue) < 2 {
		return
	}
	newest := i.Queue[len(i.Queue)-1]
	kept := i.Queue[:0:0]
	for _, command := range i.Queue {
		if command.Key == newest.Key || command.Type == schemas.CommandDestroyRequested {
			kept = append(kept, command)
			continue
		}
		i.tellSuperseded(ctx, command, newest)
	}
	i.Queue = kept
}

func (i *infrastructure) tellSuperseded(ctx workflow.Context, command, by schemas.CommandReference) {
	e := commandEvent(command, schemas.StatusCommandSuperseded)
	e.Source += "/superseded"
	e.Command.SupersededBy = by.ID
	i.outbox.add(ctx, e)
}

// commandEvent is an event about a command itself.
func commandEvent(command schemas.CommandReference, eventType string) schemas.Event {
	return schemas.Event{
		Type: eventType, Source: schemas.CommandSource(command.Scope), Subject: command.Scope.String(),
		Sequence: schemas.CommandSequence(command.Sequence), CausationID: command.ID, TraceParent: command.TraceParent,
		Command: &schemas.CommandStatus{Scope: command.Scope, CommandType: command.Type},
	}
}

// serve runs one command to its end, and goes on to queue others meanwhile.
func (i *infrastructure) serve(ctx workflow.Context, command schemas.CommandReference, commands workflow.ReceiveChannel) {
	i.Revision++
	i.Served = command
	in := DeployInput{Command: command, Revision: activities.Revision{Number: i.Revision, Reference: command.Revision}, Stable: i.Stable}
	if command.Type == schemas.CommandDestroyRequested {
		in.Destroy, in.Revision.Reference = true, ""
	}
	if ctx.Err() != nil { // a deployment that starts now could not tell its end
		i.Status = StatusCancelled
		i.outbox.add(ctx, accepted(in))
		i.outbox.add(ctx, ending(in, schemas.StatusDeploymentCancelled, schemas.Failure{Kind: "Cancelled", Message: "the Infrastructure's run was cancelled before the deployment began"}))
		return
	}
	var err error
	finished := false
	deploying, cancel := workflow.WithCancel(ctx)
	i.running = cancel
	workflow.GoNamed(deploying, "deploy", func(ctx workflow.Context) {
		err = i.deploy(ctx, in)
		i.running, finished = nil, true
	})
	for !finished {
		i.supersede(ctx)
		i.describe(ctx, fmt.Sprintf("revision %d: %s", in.Revision.Number, schemas.ShortType(command.Type)))
		detached, _ := workflow.NewDisconnectedContext(ctx)
		_ = workflow.Await(detached, func() bool { return finished || commands.Len() > 0 })
		i.receive(ctx, commands)
	}
	i.conclude(ctx, in, err)
}

// deploy starts the Deploy workflow and waits for its end.
func (i *infrastructure) deploy(ctx workflow.Context, in DeployInput) error {
	what, status := "Deploy revision", StatusDeploying
	if in.Destroy {
		what, status = "Destroy, as revision", StatusDestroying
	}
	options := workflow.ChildWorkflowOptions{
		WorkflowID:    DeployID(i.Scope, in.Revision.Number),
		StaticSummary: fmt.Sprintf("%s %d of %s", what, in.Revision.Number, i.Scope),
		StaticDetails: fmt.Sprintf("Asked for by command `%s` of `%s`", in.Command.ID, in.Command.Source),
		// Ended by hand, the Infrastructure lets its deployment come to a clean end.
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeEnvironment.ValueSet(i.Scope.Environment),
			AttributeInfrastructure.ValueSet(i.Scope.Infrastructure),
			AttributeRevision.ValueSet(int64(in.Revision.Number)),
			AttributeStatus.ValueSet(status),
		),
	}
	return workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), NameDeploy, in).Get(ctx, nil)
}

// conclude remembers how a deployment ended, and tells it where the deployment
// could not do so itself.
func (i *infrastructure) conclude(ctx workflow.Context, in DeployInput, err error) {
	var application *temporal.ApplicationError
	switch {
	case err == nil && in.Destroy:
		i.Stable, i.Status = activities.Revision{}, StatusDestroyed
	case err == nil:
		i.Stable, i.Status = in.Revision, StatusReady
	case temporal.IsCanceledError(err):
		i.Status = StatusCancelled
	case errors.As(err, &application) && application.Type() == ErrorRolledBack:
		i.Status = StatusRolledBack
	case errors.As(err, &application) && application.Type() == ErrorFailed:
		i.Status = StatusFailed
	default:
		i.Status = StatusFailed
		i.outbox.add(ctx, ending(in, schemas.StatusDeploymentFailed, interruption(err)))
	}
	status := AttributeStatus.ValueSet(i.Status)
	if err := workflow.UpsertTypedSearchAttributes(ctx, status, AttributeRevision.ValueSet(int64(i.Revision))); err != nil {
		workflow.GetLogger(ctx).Error("search attributes are not set", "error", err)
	}
}

// interruption says why a deployment ran no code at its end: it was terminated by
// hand, or never started.
func interruption(err error) schemas.Failure {
	var terminated *temporal.TerminatedError
	if errors.As(err, &terminated) {
		return schemas.Failure{Kind: "Interrupted", Message: "the run was terminated before it was done", Hint: "deploy again; what is there is found and adopted"}
	}
	return schemas.Failure{Kind: "Interrupted", Message: "the run ended unexpectedly: " + activities.FailureOf(err).Message}
}

// ending is the last event of a deployment that cannot tell its end itself.
func ending(in DeployInput, eventType string, failure schemas.Failure) schemas.Event {
	const last = 99_999_999
	scope, revision := in.Command.Scope, in.Revision.Number
	return schemas.Event{
		Type: eventType, Source: schemas.DeploymentSource(scope, revision), Subject: scope.String(),
		Sequence: schemas.DeploymentSequence(revision, last), CorrelationID: DeployID(scope, revision),
		CausationID: in.Command.ID, TraceParent: in.Command.TraceParent,
		Deployment: &schemas.DeploymentStatus{Scope: scope, Revision: revision, Destroy: in.Destroy, Error: &failure, Final: true},
	}
}

// describe sets what the web UI shows of the run.
func (i *infrastructure) describe(ctx workflow.Context, doing string) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s**: %s\n\nNewest revision: %d (%s). Last stable revision: %d. Commands in the queue: %d.",
		i.Scope, doing, i.Revision, orNone(i.Status), i.Stable.Number, len(i.Queue)))
}

func orNone(status string) string {
	if status == "" {
		return "none yet"
	}
	return status
}
