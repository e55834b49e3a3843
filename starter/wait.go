package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"windlass/events"
	"windlass/schemas"
)

// waitFlags say whether and how long a command waits for its effect.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

// wait shows what the command brings about until it is done.
func (s *sending) wait(ctx context.Context, follower *events.Follower) error {
	began := s.app.now()
	t := newTree(s.scope, began)
	d := s.app.newDisplay(t)
	f := &following{app: s.app, conn: s.conn, follower: follower, display: d, notes: s.lookForWorker(ctx)}
	err := f.run(ctx, func(status events.Status) bool {
		if status.CausationID != s.command.ID() {
			return false
		}
		t.apply(status.Event)
		d.show(status)
		return t.final != nil
	})
	d.close()
	if err == nil {
		err = s.verdict(t)
	} else {
		err = s.gaveUp(err)
	}
	if s.app.json != nil {
		code := codeOf(err, ExitInternal)
		r := result{
			Result: code.String(), ExitCode: int(code), CommandID: s.command.ID(), Revision: t.revision,
			Environment: s.scope.Environment, Infrastructure: s.scope.Infrastructure,
			Seconds: s.app.now().Sub(began).Round(time.Millisecond).Seconds(),
		}
		if err != nil {
			r.Error = err.Error()
		}
		s.app.json.result(r)
	}
	return err
}

// lookForWorker asks once whether a worker is there, and says so when none is:
// the command is stored, and nothing else would tell why nothing happens.
func (s *sending) lookForWorker(ctx context.Context) <-chan string {
	notes := make(chan string, 1)
	go func() {
		_, _, err := ask[schemas.VersionAnswer](ctx, s.app, s.conn, schemas.QueryVersion, struct{}{}, askTimeout)
		if codeOf(err, ExitInternal) == ExitUnreachable {
			notes <- fmt.Sprintf("no worker answers at %s; the command is stored and waits for one (windlass-dev or windlass-worker)", s.app.address())
		}
	}()
	return notes
}

// verdict turns the end of the deployment into the exit code.
func (s *sending) verdict(t *tree) error {
	switch e := t.final; {
	case e.Type == schemas.StatusCommandRejected:
		return s.app.rejected(s.source, e.Command.Faults)
	case e.Type == schemas.StatusCommandSuperseded:
		return exitf(ExitSuperseded, "%s: command %s was superseded by %s before it began; nothing was changed for it", s.scope, e.CausationID, e.Command.SupersededBy)
	case e.Type == schemas.StatusDeploymentSucceeded, e.Type == schemas.StatusCommandAccepted:
		return nil
	case e.Type == schemas.StatusDeploymentRolledBack:
		to := "what there was before"
		if t.rollbackTo != nil {
			to = revisionWords(*t.rollbackTo)
		}
		return exitf(ExitRolledBack, "%s: %s failed and was rolled back to %s", s.scope, revisionWords(t.revision), to)
	case e.Type == schemas.StatusDeploymentCancelled:
		return exitf(ExitCancelled, "%s: %s was cancelled", s.scope, s.what(t))
	}
	return exitf(ExitFailed, "%s: %s failed", s.scope, s.what(t))
}

func (s *sending) what(t *tree) string {
	if t.destroy {
		return "destroying it"
	}
	return revisionWords(t.revision)
}

// gaveUp says that what was waited for goes on.
func (s *sending) gaveUp(err error) error {
	switch {
	case errors.Is(err, errTimedOut):
		return exitf(ExitTimedOut, "timed out; %s goes on, follow it with: %s", s.scope, s.followHint())
	case errors.Is(err, context.Canceled):
		return exitf(ExitInterrupted, "interrupted; %s goes on, follow it with: %s", s.scope, s.followHint())
	}
	return err
}
