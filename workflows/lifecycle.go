package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// ContainerLifecycle looks after one container from the first command that runs it to
// its removal: it serves commands one after the other, watches the container in
// between, tells what becomes of it, and does what the unhealthy policy says.
//
// Cancelled, it leaves the container as it is.
func ContainerLifecycle(ctx workflow.Context, in ContainerInput) error {
	l := &lifecycle{ContainerInput: in, outbox: newOutbox(ctx), commands: workflow.GetSignalChannel(ctx, SignalCommand)}
	defer l.outbox.flush(ctx)
	for ctx.Err() == nil {
		l.receive(ctx)
		switch {
		case isLong(ctx):
			l.outbox.flush(ctx)
			for l.receive(ctx) {
				l.outbox.flush(ctx)
			}
			return workflow.NewContinueAsNewError(ctx, NameContainer, l.ContainerInput)
		case len(l.Queue) > 0:
			command := l.Queue[0]
			l.Queue = l.Queue[1:]
			l.serve(ctx, command)
		case l.isDue(ctx):
			l.heal(ctx)
		case l.Known.Exists() || !l.Due.IsZero():
			l.watch(ctx)
		default:
			l.outbox.flush(ctx)
			if !l.receive(ctx) { // nothing is there any more, and nobody asks for it
				return nil
			}
		}
	}
	return ctx.Err()
}

// lifecycle is the state of one run.
type lifecycle struct {
	ContainerInput
	outbox   *outbox
	commands workflow.ReceiveChannel
}

// work runs something that a newer command to run or remove the container breaks off,
// since that command decides what becomes of it. It returns that command.
func (l *lifecycle) work(ctx workflow.Context, name string, do func(workflow.Context)) (breaker schemas.CommandReference) {
	working, cancel := workflow.WithCancel(ctx)
	defer cancel()
	done := false
	workflow.GoNamed(working, name, func(ctx workflow.Context) {
		do(ctx)
		done = true
	})
	detached, _ := workflow.NewDisconnectedContext(ctx)
	for !done {
		l.receive(ctx)
		for _, queued := range l.Queue {
			if queued.Type == schemas.CommandContainerRun || queued.Type == schemas.CommandContainerRemove {
				breaker = queued
				cancel()
			}
		}
		_ = workflow.Await(detached, func() bool { return done || l.commands.Len() > 0 })
	}
	return breaker
}

// move runs an activity that changes the container, as a revision declares it.
func (l *lifecycle) move(ctx workflow.Context, activity, verb string, revision activities.Revision) (activities.ContainerOutput, error) {
	l.describe(ctx, verb)
	var out activities.ContainerOutput
	in := activities.ContainerInput{Scope: l.Scope, Revision: revision}
	err := workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, verb+" "+l.Scope.String()), activity, in).Get(ctx, &out)
	return out, err
}

// delete removes every container of that name from a provider.
func (l *lifecycle) delete(ctx workflow.Context, provider string) error {
	l.describe(ctx, "remove")
	target := activities.ContainerTarget(l.Scope.Environment, l.Scope.Infrastructure, provider)
	in := activities.DeleteInput{Scope: target.Scope, Resource: target.Resource, Type: target.Type, Provider: provider}
	return workflow.ExecuteActivity(operationOptions(ctx, operationTimeout, "remove "+l.Scope.String()), activities.NameDelete, in).Get(ctx, nil)
}

// watch waits until the container is not as it is known to be, or there is something
// else to do.
func (l *lifecycle) watch(ctx workflow.Context) {
	l.describe(ctx, "watching")
	watching, cancel := workflow.WithCancel(ctx)
	defer cancel()
	var (
		out      activities.ContainerOutput
		err      error
		returned bool
	)
	if l.Known.Exists() && !l.Unwatched {
		workflow.GoNamed(watching, "watch", func(ctx workflow.Context) {
			in := activities.ContainerInput{Scope: l.Scope, Revision: l.Revision, Known: l.Known}
			err = workflow.ExecuteActivity(watchOptions(ctx, "watch "+l.Scope.String()), activities.NameWatchContainer, in).Get(ctx, &out)
			returned = true
		})
	}
	stirred := func() bool { return returned || l.commands.Len() > 0 }
	if l.Due.IsZero() {
		_ = workflow.Await(ctx, stirred)
	} else {
		_, _ = workflow.AwaitWithTimeout(ctx, l.Due.Sub(workflow.Now(ctx)), stirred)
	}
	switch {
	case ctx.Err() != nil || !returned || temporal.IsCanceledError(err):
	case err != nil:
		l.Unwatched = true
		l.fail(ctx, "it is not watched any more, until the next command", err)
	default:
		l.noticed(ctx, out)
	}
}

func (l *lifecycle) isDue(ctx workflow.Context) bool {
	return !l.Due.IsZero() && !workflow.Now(ctx).Before(l.Due)
}

// describe sets what the web UI shows of the run.
func (l *lifecycle) describe(ctx workflow.Context, doing string) {
	health := ""
	if l.Known.Exists() {
		health = fmt.Sprintf("\n\n%s: %s, health %s. Image: %s.", l.Known.Name, l.Known.State, l.Known.Health, l.Known.Image)
	}
	if !l.Due.IsZero() {
		health += fmt.Sprintf(" The unhealthy policy (%s) acts at %s.", l.Policy.UnhealthyPolicy, l.Due.Format(time.TimeOnly))
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s**: %s%s", l.Scope, doing, health))
}
