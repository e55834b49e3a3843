package starter

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newDiff(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff ENV/NAME FROM TO",
		Short: "Show what changed between two revisions",
		Long: `Shows what leads from the document of revision FROM to that of revision TO, as a
plan. What really runs is not asked; "windlass plan" does that.`,
		Example:           "  windlass diff staging/users 3 5",
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: a.completeScope,
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		request := schemas.DiffRequest{Scope: scope}
		if request.From, err = parseRevision(args[1]); err != nil {
			return err
		}
		if request.To, err = parseRevision(args[2]); err != nil {
			return err
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, raw, err := ask[schemas.PlanAnswer](ctx, a, conn, schemas.QueryDiff, request, askTimeout)
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.raw(raw)
			return nil
		}
		head := line{{scope.String(), bold}, {"  from " + revisionWords(request.From) + " to " + revisionWords(request.To), plain}}
		a.print(operationLines(head, answer, "No changes: the documents declare the same."))
		return nil
	})
	return cmd
}

// parseRevision reads the number of a revision, which starts at 1.
func parseRevision(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, exitf(ExitUsage, "%q is no revision; write its number, such as 3", text)
	}
	return n, nil
}
