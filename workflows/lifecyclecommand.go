package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// receive queues the commands that have arrived, in the order in which they were
// published, and says whether there was one.
func (l *lifecycle) receive(ctx workflow.Context) bool {
	received := false
	var command schemas.CommandReference
	for l.commands.ReceiveAsync(&command) {
		received = true
		if !slices.Contains(l.Seen, command.Key) {
			l.Seen = append(l.Seen, command.Key)
			l.Seen = slices.Clone(l.Seen[max(0, len(l.Seen)-rememberedCommands):])
			at, _ := slices.BinarySearchFunc(l.Queue, command, older)
			l.Queue = slices.Insert(l.Queue, at, command)
		} else {
			workflow.GetLogger(ctx).Info("the command is known already", "id", command.ID)
		}
		command = schemas.CommandReference{}
	}
	return received
}

// serve carries out one command.
func (l *lifecycle) serve(ctx workflow.Context, command schemas.CommandReference) {
	if l.Served.ID != "" && older(command, l.Served) < 0 {
		l.outbox.add(ctx, supersededEvent(command, l.Served))
		return
	}
	if refusal := l.refusal(command); refusal != nil {
		l.outbox.add(ctx, rejected(ctx, command, *refusal))
		return
	}
	l.Served, l.Unwatched = command, false
	l.outbox.add(ctx, commandEvent(command, schemas.StatusCommandAccepted))
	if command.Type == schemas.CommandContainerRemove {
		// What comes next may count on its being gone.
		if err := l.carryOut(ctx, command); err != nil {
			l.fail(ctx, "", err)
		}
		return
	}
	var err error
	breaker := l.work(ctx, schemas.ShortType(command.Type), func(ctx workflow.Context) { err = l.carryOut(ctx, command) })
	switch {
	case err == nil:
	case ctx.Err() == nil && breaker.ID != "":
		l.outbox.add(ctx, supersededEvent(command, breaker))
	default:
		l.fail(ctx, "", err)
	}
}

// refusal says why a command cannot be served as things stand; nil is that it can.
func (l *lifecycle) refusal(command schemas.CommandReference) *schemas.Failure {
	refuse := func(message, hint string) *schemas.Failure {
		return &schemas.Failure{Kind: string(activities.Conflict), Field: "data", Message: message, Hint: hint}
	}
	switch {
	case command.Type == schemas.CommandContainerRun:
		return nil
	case l.Revision.Reference == "":
		return refuse(fmt.Sprintf("no container %s is known", l.Scope), "run it first; one that is there already is adopted")
	case command.Type == schemas.CommandContainerPause && !l.Known.Up():
		return refuse(fmt.Sprintf("%s does not run: it is %s", l.Scope, l.Known.State), "start it first")
	case command.Type == schemas.CommandContainerResume && l.Known.State != plan.ContainerPaused:
		return refuse(fmt.Sprintf("%s is not paused: it is %s", l.Scope, l.Known.State), "")
	}
	return nil
}

func (l *lifecycle) carryOut(ctx workflow.Context, command schemas.CommandReference) error {
	l.Due, l.Restarts, l.HealthySince = zeroTime, 0, zeroTime
	switch command.Type {
	case schemas.CommandContainerRun:
		return l.run(ctx, command)
	case schemas.CommandContainerStop:
		return l.stop(ctx, "")
	case schemas.CommandContainerStart:
		return l.start(ctx, "")
	case schemas.CommandContainerPause:
		return l.step(ctx, activities.NamePauseContainer, "pause", schemas.StatusContainerPaused, "")
	case schemas.CommandContainerResume:
		return l.step(ctx, activities.NameResumeContainer, "resume", schemas.StatusContainerResumed, "")
	case schemas.CommandContainerRestart:
		if err := l.stop(ctx, ""); err != nil {
			return err
		}
		return l.start(ctx, "")
	default:
		return l.remove(ctx)
	}
}

// run makes the container that a command declares, and has it take the place of the
// one that was there. What was there stays in charge until the new one could be made,
// and where that cannot start, goes on.
func (l *lifecycle) run(ctx workflow.Context, command schemas.CommandReference) error {
	former := l.ContainerInput
	next := activities.Revision{Number: l.Revision.Number + 1, Reference: command.Revision}
	if !former.Known.Exists() {
		l.Revision, l.Policy = next, *command.Container
	}
	created, err := l.move(ctx, activities.NameCreateContainer, "create", next)
	if err != nil && !former.Known.Exists() && ctx.Err() == nil {
		return errors.Join(err, l.delete(ctx, l.Policy.Provider)) // an init step may be left
	}
	if err != nil {
		return err
	}
	l.Revision, l.Policy, l.Known = next, *command.Container, created.Condition
	if created.Condition.State == plan.ContainerCreated {
		l.tell(ctx, schemas.StatusContainerCreated, telling{})
	}
	if err := l.start(ctx, ""); err != nil {
		if former.Known.Exists() {
			l.Revision, l.Policy, l.Known = former.Revision, former.Policy, former.Known
		}
		if former.Known.Up() && ctx.Err() == nil {
			// The provider has seen to it, unless the worker died in between.
			err = errors.Join(err, l.start(ctx, "the new version cannot start"))
		}
		return err
	}
	if former.Known.Exists() && former.Policy.Provider != l.Policy.Provider {
		return l.delete(ctx, former.Policy.Provider)
	}
	return nil
}

// step runs an activity that leaves the container in a condition, and tells so.
func (l *lifecycle) step(ctx workflow.Context, activity, verb, event, cause string) error {
	out, err := l.move(ctx, activity, verb, l.Revision)
	if err != nil {
		return err
	}
	l.Known = out.Condition
	l.tell(ctx, event, telling{cause: cause, exitCode: out.Condition.ExitCode})
	return nil
}

func (l *lifecycle) stop(ctx workflow.Context, cause string) error {
	return l.step(ctx, activities.NameStopContainer, "stop", schemas.StatusContainerStopped, cause)
}

func (l *lifecycle) start(ctx workflow.Context, cause string) error {
	return l.step(ctx, activities.NameStartContainer, "start", schemas.StatusContainerStarted, cause)
}

func (l *lifecycle) remove(ctx workflow.Context) error {
	if err := l.delete(ctx, l.Policy.Provider); err != nil {
		return err
	}
	l.Known, l.Revision = activities.ContainerCondition{}, activities.Revision{}
	l.tell(ctx, schemas.StatusContainerRemoved, telling{})
	return nil
}
