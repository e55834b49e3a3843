package starter

import (
	"context"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newList(a *app) *cobra.Command {
	var request schemas.ListRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the Infrastructures",
		Args:  optional(0),
	}
	cmd.Flags().StringVarP(&request.Environment, "environment", "e", "", "only those of this environment")
	cmd.Flags().BoolVar(&request.Destroyed, "destroyed", false, "also those that were destroyed")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, raw, err := ask[schemas.ListAnswer](ctx, a, conn, schemas.QueryList, request, askTimeout)
		switch {
		case err != nil:
			return err
		case a.json != nil:
			a.json.raw(raw)
		case len(answer.Infrastructures) == 0:
			a.note("there is no Infrastructure")
		default:
			a.print(a.listLines(answer))
		}
		return nil
	})
	return cmd
}

func (a *app) listLines(answer schemas.ListAnswer) []line {
	var t table
	t.head("INFRASTRUCTURE", "STATE", "REVISION", "STABLE", "AGE")
	for _, i := range answer.Infrastructures {
		state := infrastructureWords(i.State)
		t.row(cell(i.Scope.String()), span{state, headerColour(state)}, number(i.Revision), number(i.Stable), cell(age(i.Since, a.now())))
	}
	return t.lines()
}
