package starter

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newScale(a *app) *cobra.Command {
	var (
		wait   waitFlags
		reason string
	)
	cmd := &cobra.Command{
		Use:   "scale ENV/NAME RESOURCE REPLICAS",
		Short: "Give a Compute another number of replicas",
		Long: `Deploys the last stable revision again, with another number of replicas of one
Compute. The next document that is deployed has the last word.`,
		Example:           "  windlass scale staging/users users 6 --wait",
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		replicas, err := strconv.Atoi(args[2])
		if err != nil || replicas < 0 {
			return exitf(ExitUsage, "REPLICAS is %q; a number from 0 on is expected", args[2])
		}
		data := schemas.ScaleRequested{Scope: scope, Resource: args[1], Replicas: replicas, Reason: reason}
		return a.order(ctx, scope, schemas.CommandScaleRequested, data, wait)
	})
	return cmd
}
