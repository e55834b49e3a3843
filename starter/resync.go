package starter

import (
	"context"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newResync(a *app) *cobra.Command {
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "resync [ENV/NAME]",
		Short: "Make records anew from the events that are left and from what runs",
		Long: `Records are what "windlass status" and "windlass list" show. When they are lost, or
somebody changed things by hand, this makes them anew: from the status events that
NATS still has, and from what the providers find, which decides. Nothing that runs
is touched. Without ENV/NAME, it is done for all that the providers find.`,
		Args:              optional(1),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scopes, err := a.scopesOf(ctx, args)
		if err != nil {
			return err
		}
		for _, scope := range scopes {
			if err := a.order(ctx, scope, schemas.CommandResyncRequested, schemas.ResyncRequested{Scope: scope}, wait); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// scopesOf is the scope that an argument names, or all that the providers find.
func (a *app) scopesOf(ctx context.Context, args []string) ([]schemas.Scope, error) {
	if len(args) > 0 {
		scope, err := parseScope(args[0])
		return []schemas.Scope{scope}, err
	}
	conn, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, _, err := ask[schemas.ScopesAnswer](ctx, a, conn, schemas.QueryScopes, struct{}{}, liveTimeout)
	a.noteUnreachable(answer.Unreachable, "what only it holds is left out")
	if err == nil && len(answer.Scopes) == 0 {
		a.note("the providers hold nothing that carries our labels")
	}
	return answer.Scopes, err
}
