package starter

import (
	"context"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newCancel(a *app) *cobra.Command {
	var (
		wait   waitFlags
		reason string
	)
	cmd := &cobra.Command{
		Use:   "cancel ENV/NAME",
		Short: "Cancel the deployment that runs",
		Long: `Asks the deployment that runs to end. Operations that have begun come to a clean
end, others do not begin, and what was done stays. A rollback is not cancelled: to
stop half way would leave a mixture.`,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		return a.order(ctx, scope, schemas.CommandCancelRequested, schemas.CancelRequested{Scope: scope, Reason: reason}, wait)
	})
	return cmd
}

// order sends a command that is no deployment.
func (a *app) order(ctx context.Context, scope schemas.Scope, eventType string, data any, wait waitFlags) error {
	if err := wait.check(); err != nil {
		return err
	}
	s, err := a.newSending(scope, eventType, data)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	return s.execute(ctx, wait, false)
}
