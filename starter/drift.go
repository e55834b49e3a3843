package starter

import (
	"context"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newDrift(a *app) *cobra.Command {
	var detailed bool
	cmd := &cobra.Command{
		Use:   "drift ENV/NAME",
		Short: "Show how reality differs from what was deployed",
		Long: `Asks a worker to hold reality against the last revision that was deployed whole,
and shows what would put it back. Nothing is changed. To have that done on a
schedule, declare spec.drift.`,
		Example: `  windlass drift staging/users
  windlass drift staging/users --detailed-exitcode   # 0: as deployed, 2: drifted, others: errors`,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeScope,
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 0 when nothing differs, 2 when something does, 1 on an error")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		drifted, err := a.drift(ctx, args[0])
		return detailedExit(detailed, drifted, err)
	})
	return cmd
}

// drift shows what differs and says whether anything does.
func (a *app) drift(ctx context.Context, argument string) (drifted bool, err error) {
	scope, err := parseScope(argument)
	if err != nil {
		return false, err
	}
	conn, err := a.connect()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	answer, raw, err := ask[schemas.PlanAnswer](ctx, a, conn, schemas.QueryDrift, schemas.DriftRequest{Scope: scope}, liveTimeout)
	if err != nil {
		return false, err
	}
	if a.json != nil {
		a.json.raw(raw)
	} else {
		head := line{{answer.Scope.String(), bold}, {"  against " + revisionWords(answer.Revision), plain}}
		a.print(operationLines(head, answer, "No drift: everything is as it was deployed."))
	}
	return answer.Moves(), nil
}

// detailedExit gives what a plan found its exit code, where that is asked for.
func detailedExit(detailed, changes bool, err error) error {
	switch {
	case err != nil && detailed:
		return exitf(ExitInternal, "%w", err)
	case err != nil:
		return err
	case changes && detailed:
		return exitSilently(exitChanges)
	}
	return nil
}
