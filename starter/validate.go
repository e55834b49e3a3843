package starter

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"windlass/schemas"
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
		name, text, err := a.readText(args[0])
		if err != nil {
			return err
		}
		if kindOf(text) == schemas.KindContainer {
			return a.validateContainer(&source{name: name, path: args[0], text: text})
		}
		d, err := a.check(name, args[0], text, flags)
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

// kindOf is the kind that a document says it is of; empty where it says none.
func kindOf(text []byte) string {
	tree, err := schemas.ParseTree(text)
	if err != nil {
		return ""
	}
	object, _ := tree.Value.(map[string]any)
	kind, _ := object["kind"].(string)
	return kind
}

func (a *app) validateContainer(s *source) error {
	d, err := a.checkContainer(s)
	if err != nil {
		return err
	}
	scope := schemas.ContainerScope(d.container.Spec.Environment, d.container.Metadata.Name)
	if a.json == nil {
		fmt.Fprintf(a.stdout, "%s: valid: container %s\n", d.name, scope)
		return nil
	}
	a.json.write(struct {
		File        string `json:"file"`
		Valid       bool   `json:"valid"`
		Environment string `json:"environment"`
		Container   string `json:"container"`
	}{d.name, true, scope.Environment, scope.Infrastructure})
	return nil
}
