package starter

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newUnprotect(a *app) *cobra.Command {
	var (
		wait   waitFlags
		reason string
	)
	cmd := &cobra.Command{
		Use:   "unprotect ENV/NAME RESOURCE...",
		Short: "Lift the protection of resources",
		Long: `Lifts the protection that "protect: true" gave. Afterwards the resources can be
deleted and replaced like any other. Take the line out of the document too, or the
next deployment protects them again. Everybody who reads the status events sees
resource.unprotected, with the reason.`,
		Example: `  windlass unprotect production/users users-db --reason "moved to the new cluster" --wait`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("ENV/NAME and at least one RESOURCE are needed: %s", cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		return a.order(ctx, scope, schemas.CommandUnprotectRequested, schemas.UnprotectRequested{Scope: scope, Resources: args[1:], Reason: reason}, wait)
	})
	return cmd
}
