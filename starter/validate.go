package starter

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newValidate(a *app) *cobra.Command {
	var flags parameterFlags
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a document without sending it",
		Long: `Checks the document with the parser of the worker and prints everything that is
wrong as FILE:LINE:COLUMN: field: reason. FILE "-" is stdin. Asks nothing of NATS.`,
		Args: argument("FILE"),
	}
	flags.register(cmd)
	cmd.RunE = a.run(func(_ context.Context, args []string) error {
		d, err := a.read(args[0], flags)
		if err != nil {
			return err
		}
		scope, resources := d.parsed.Scope(), len(d.parsed.Spec.Resources)
		if a.json == nil {
			fmt.Fprintf(a.stdout, "%s: valid: %s with %s\n", d.name, scope, count(resources, "resource"))
			return nil
		}
		a.json.write(struct {
			File           string `json:"file"`
			Valid          bool   `json:"valid"`
			Environment    string `json:"environment"`
			Infrastructure string `json:"infrastructure"`
			Resources      int    `json:"resources"`
		}{d.name, true, scope.Environment, scope.Infrastructure, resources})
		return nil
	})
	return cmd
}
