package starter

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newRevisions(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "revisions ENV/NAME",
		Short:             "List the revisions of an Infrastructure",
		Long:              "Lists every revision, the newest first, with how its deployment ended.",
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeScope,
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, raw, err := ask[schemas.RevisionsAnswer](ctx, a, conn, schemas.QueryRevisions, schemas.RevisionsRequest{Scope: scope}, askTimeout)
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.raw(raw)
			return nil
		}
		a.print(revisionTable(answer.Revisions, a.now()).lines())
		return nil
	})
	return cmd
}

func revisionTable(revisions []schemas.RevisionRecord, now time.Time) *table {
	var t table
	t.head("REVISION", "STATE", "AGE", "TOOK", "COMMAND")
	for _, r := range revisions {
		state, took := infrastructureWords(r.State), ""
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Started).Round(100 * time.Millisecond).String()
		}
		t.row(number(r.Revision), span{state, headerColour(state)}, cell(age(r.Started, now)), cell(took), cell(r.Command))
	}
	return &t
}
