package starter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"windlass/events"
	"windlass/schemas"
)

// waitContainer shows what a command to a container brings about until it is done.
func (s *sending) waitContainer(ctx context.Context, follower *events.Follower) error {
	began := s.app.now()
	d := s.app.eventDisplay()
	f := &following{app: s.app, conn: s.conn, follower: follower, display: d, notes: s.lookForWorker(ctx)}
	var end error
	err := f.run(ctx, func(status events.Status) bool {
		if status.CausationID != s.command.ID() {
			return false
		}
		d.show(status)
		var last bool
		last, end = s.containerEnd(status.Event)
		if last && status.Container != nil && status.Container.Error != nil && s.app.json == nil {
			writeLines(s.app.stdout, failureBlock([]schemas.Failure{*status.Container.Error}))
		}
		return last
	})
	if err == nil {
		err = end
	} else {
		err = s.gaveUp(err)
	}
	if s.app.json != nil {
		code := codeOf(err, ExitInternal)
		r := result{
			Result: code.String(), ExitCode: int(code), CommandID: s.command.ID(), Environment: s.scope.Environment, Container: s.scope.Infrastructure,
			Seconds: s.app.now().Sub(began).Round(time.Millisecond).Seconds(),
		}
		if err != nil {
			r.Error = err.Error()
		}
		s.app.json.result(r)
	}
	return err
}

// containerEnd says whether an event is the last one of the command, and how it ended.
func (s *sending) containerEnd(e schemas.Event) (last bool, err error) {
	if e.Command != nil {
		switch e.Type {
		case schemas.StatusCommandRejected:
			return true, s.app.rejected(s.source, e.Command.Faults)
		case schemas.StatusCommandSuperseded:
			return true, exitf(ExitSuperseded, "%s: command %s was superseded by %s before it was done", s.scope, e.CausationID, e.Command.SupersededBy)
		}
		return false, nil
	}
	if e.Container == nil {
		return false, nil
	}
	if e.Type == schemas.StatusContainerFailed {
		return true, exitf(ExitFailed, "%s: it failed", s.scope)
	}
	switch s.command.Type() {
	case schemas.CommandContainerStop:
		return e.Type == schemas.StatusContainerStopped, nil
	case schemas.CommandContainerPause:
		return e.Type == schemas.StatusContainerPaused, nil
	case schemas.CommandContainerResume:
		return e.Type == schemas.StatusContainerResumed, nil
	case schemas.CommandContainerRemove:
		return e.Type == schemas.StatusContainerRemoved, nil
	}
	return s.upEnd(e)
}

// upEnd is containerEnd of a command after which the container has to run: it is done
// once the container is healthy, or without a check once it was started.
func (s *sending) upEnd(e schemas.Event) (last bool, err error) {
	switch e.Type {
	case schemas.StatusContainerStarted:
		return e.Container.Health == "None", nil
	case schemas.StatusContainerHealthy:
		return true, nil
	case schemas.StatusContainerUnhealthy:
		return true, exitf(ExitFailed, "%s: it is unhealthy", s.scope)
	case schemas.StatusContainerExited:
		if code := e.Container.ExitCode; code != nil && *code == 0 {
			return true, nil
		}
		return true, exitf(ExitFailed, "%s: it ended before it was healthy", s.scope)
	}
	return false, nil
}

// containerDetail says what a container event tells beyond its type.
func containerDetail(c schemas.ContainerStatus) string {
	var parts []string
	if c.Cause != "" {
		parts = append(parts, c.Cause)
	}
	switch {
	case c.Error != nil && c.ExitCode != nil:
		parts = append(parts, c.Error.Message) // which names the code
	case c.Error != nil:
		parts = append(parts, failureSentence(*c.Error))
	case c.ExitCode != nil:
		parts = append(parts, fmt.Sprintf("exit code %d", *c.ExitCode))
	}
	return strings.Join(parts, ", ")
}
