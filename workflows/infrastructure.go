package workflows

import (
	"errors"
	"fmt"

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
	commands, looks := workflow.GetSignalChannel(ctx, SignalCommand), workflow.GetSignalChannel(ctx, SignalDrift)
	for {
		i.receive(ctx, commands)
		switch {
		case ctx.Err() == nil && isLong(ctx):
			i.outbox.flush(ctx)
			for i.receive(ctx, commands) {
				i.outbox.flush(ctx) // what came meanwhile may have been answered at once
			}
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
		case drain(looks):
			i.describe(ctx, "looking for drift")
			i.look(ctx, commands)
		default:
			i.describe(ctx, "waiting for commands")
			_ = workflow.Await(ctx, func() bool { return commands.Len() > 0 || looks.Len() > 0 })
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

// serve runs one command to its end.
func (i *infrastructure) serve(ctx workflow.Context, command schemas.CommandReference, commands workflow.ReceiveChannel) {
	reference := command.Revision
	if command.Type == schemas.CommandScaleRequested && ctx.Err() == nil {
		if reference = i.scaled(ctx, command); reference == "" {
			return
		}
	}
	i.Served = command
	in := DeployInput{Command: command, Revision: activities.Revision{Number: i.Revision + 1, Reference: reference}, Stable: i.Stable}
	if command.Type == schemas.CommandDestroyRequested {
		in.Destroy, in.Revision.Reference = true, ""
	}
	if ctx.Err() != nil { // a deployment that starts now could not tell its end
		i.Revision, i.Status = in.Revision.Number, StatusCancelled
		i.outbox.add(ctx, accepted(in))
		i.outbox.add(ctx, ending(in, schemas.StatusDeploymentCancelled, schemas.Failure{Kind: "Cancelled", Message: "the Infrastructure's run was cancelled before the deployment began"}))
		return
	}
	i.run(ctx, in, commands)
}

// run deploys a revision, and goes on to queue commands meanwhile.
func (i *infrastructure) run(ctx workflow.Context, in DeployInput, commands workflow.ReceiveChannel) {
	i.Revision, i.Drifted = in.Revision.Number, nil
	var (
		out      DeployOutput
		err      error
		finished bool
	)
	deploying, cancel := workflow.WithCancel(ctx)
	i.running = cancel
	workflow.GoNamed(deploying, "deploy", func(ctx workflow.Context) {
		out, err = i.deploy(ctx, in)
		i.running, finished = nil, true
	})
	for !finished {
		i.supersede(ctx)
		i.describe(ctx, fmt.Sprintf("revision %d: %s", in.Revision.Number, schemas.ShortType(in.Command.Type)))
		detached, _ := workflow.NewDisconnectedContext(ctx)
		_ = workflow.Await(detached, func() bool { return finished || commands.Len() > 0 })
		i.receive(ctx, commands)
	}
	i.conclude(ctx, in, out, err)
	if err == nil {
		i.watch(ctx, out.Drift)
	}
}

// watch keeps the schedule of looks for drift as the stable revision has it.
func (i *infrastructure) watch(ctx workflow.Context, drift *schemas.Drift) {
	if drift == nil && i.Watch == nil {
		return
	}
	i.Watch = drift
	detached, _ := workflow.NewDisconnectedContext(ctx)
	options := publishOptions(detached, "schedule looks for drift")
	if err := workflow.ExecuteActivity(options, activities.NameWatch, activities.WatchInput{Scope: i.Scope, Drift: drift}).Get(detached, nil); err != nil {
		workflow.GetLogger(ctx).Error("the schedule is not set", "error", err)
	}
}

// deploy starts the Deploy workflow and waits for its end.
func (i *infrastructure) deploy(ctx workflow.Context, in DeployInput) (DeployOutput, error) {
	what, status := "Deploy revision", StatusDeploying
	if in.Destroy {
		what, status = "Destroy, as revision", StatusDestroying
	}
	options := workflow.ChildWorkflowOptions{
		WorkflowID:    DeployID(i.Scope, in.Revision.Number),
		StaticSummary: fmt.Sprintf("%s %d of %s", what, in.Revision.Number, i.Scope),
		StaticDetails: origin(in),
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
	var out DeployOutput
	err := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), NameDeploy, in).Get(ctx, &out)
	return out, err
}

// origin says why there is a deployment.
func origin(in DeployInput) string {
	if in.Heal {
		return fmt.Sprintf("Reality has drifted from revision %d", in.Stable.Number)
	}
	return fmt.Sprintf("Asked for by command `%s` of `%s`", in.Command.ID, in.Command.Source)
}

// conclude remembers how a deployment ended, and tells it where the deployment
// could not do so itself.
func (i *infrastructure) conclude(ctx workflow.Context, in DeployInput, out DeployOutput, err error) {
	var application *temporal.ApplicationError
	switch {
	case err == nil && in.Destroy:
		i.Stable, i.Status, i.Partial = activities.Revision{}, StatusDestroyed, false
	case err == nil && out.Partial:
		i.Status, i.Partial = StatusReady, true
	case err == nil:
		i.Stable, i.Status, i.Partial = in.Revision, StatusReady, false
	case temporal.IsCanceledError(err):
		i.Status = StatusCancelled
	case errors.As(err, &application) && application.Type() == ErrorRolledBack:
		i.Status, i.Partial = StatusRolledBack, false
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
