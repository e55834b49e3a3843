package starter

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newRollback(a *app) *cobra.Command {
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "rollback ENV/NAME [REVISION]",
		Short: "Deploy the document of an earlier revision again",
		Long: `Sends the document of an earlier revision, with its parameters, as a new
deployment, which gets a revision number of its own. Without REVISION it is the
newest one before the present revision that succeeded.`,
		Example: `  windlass rollback staging/users --wait
  windlass rollback staging/users 3 --wait`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		if err := wait.check(); err != nil {
			return err
		}
		target := 0
		if len(args) > 1 {
			if target, err = parseRevision(args[1]); err != nil {
				return err
			}
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, err := a.earlier(ctx, conn, scope, target)
		if err != nil {
			return err
		}
		// The plan of that time is not the one of now, and what is gone back to is whole.
		answer.Request.Plan, answer.Request.Targets = nil, nil
		s, err := a.newSending(scope, schemas.CommandDeploymentRequested, answer.Request)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		a.note("deploying the document of %s of %s again", revisionWords(answer.Record.Revision), scope)
		return s.execute(ctx, wait, false)
	})
	return cmd
}

// earlier asks for the revision to go back to; 0 is the newest good one before the
// present one.
func (a *app) earlier(ctx context.Context, conn *nats.Conn, scope schemas.Scope, target int) (schemas.RevisionAnswer, error) {
	if target == 0 {
		all, _, err := ask[schemas.RevisionsAnswer](ctx, a, conn, schemas.QueryRevisions, schemas.RevisionsRequest{Scope: scope}, askTimeout)
		if err != nil {
			return schemas.RevisionAnswer{}, err
		}
		for _, r := range all.Revisions[min(1, len(all.Revisions)):] {
			if r.State == schemas.InfrastructureReady {
				target = r.Revision
				break
			}
		}
		if target == 0 {
			return schemas.RevisionAnswer{}, exitf(ExitNotFound, "%s has no earlier revision that succeeded; see: windlass revisions %s", scope, scope)
		}
	}
	request := schemas.RevisionRequest{Scope: scope, Revision: target}
	answer, _, err := ask[schemas.RevisionAnswer](ctx, a, conn, schemas.QueryRevision, request, askTimeout)
	return answer, err
}
