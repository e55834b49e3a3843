package starter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/plan"
	"windlass/schemas"
)

// graphFormat is the value of --format.
type graphFormat string

const (
	dotFormat     graphFormat = "dot"
	mermaidFormat graphFormat = "mermaid"
	svgFormat     graphFormat = "svg"
)

var graphFormats = []string{string(dotFormat), string(mermaidFormat), string(svgFormat)}

// String is part of pflag.Value.
func (f *graphFormat) String() string { return string(*f) }

// Type is part of pflag.Value.
func (f *graphFormat) Type() string { return "format" }

// Set is part of pflag.Value.
func (f *graphFormat) Set(text string) error {
	if !slices.Contains(graphFormats, text) {
		return fmt.Errorf("%q is no format of a graph; accepted are %s", text, strings.Join(graphFormats, ", "))
	}
	*f = graphFormat(text)
	return nil
}

func newGraph(a *app) *cobra.Command {
	var (
		parameters parameterFlags
		planned    bool
	)
	format := dotFormat
	cmd := &cobra.Command{
		Use:   "graph FILE|ENV/NAME",
		Short: "Draw the resources and what they need",
		Long: `Draws the graph of the resources that a document declares, each with arrows to
those that it needs. This asks nobody. With --plan a worker is asked, and the
colours say what a deployment would do now. ENV/NAME draws what is deployed, with
its recorded states; a file of such a name is written ./ENV/NAME. FILE "-" is stdin.

The picture goes to stdout: as dot for Graphviz, as mermaid for Markdown, or as
svg, which needs no other program. With -o json it is the list of nodes instead.`,
		Example: `  windlass graph users.yaml --format svg > users.svg
  windlass graph users.yaml --plan | dot -Tpng > plan.png
  windlass graph staging/users --format mermaid`,
		Args:              argument("FILE or ENV/NAME"),
		ValidArgsFunction: a.completeGraph,
	}
	parameters.register(cmd)
	cmd.Flags().VarP(&format, "format", "f", "dot, mermaid or svg")
	cmd.Flags().BoolVar(&planned, "plan", false, "show what a deployment of FILE would do")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(graphFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		drawing, err := a.drawing(ctx, args[0], planned, parameters)
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.write(drawing)
			return nil
		}
		text, err := render(drawing, format)
		if err != nil {
			return err
		}
		fmt.Fprint(a.stdout, text)
		return nil
	})
	return cmd
}

func render(drawing plan.Drawing, format graphFormat) (string, error) {
	switch format {
	case mermaidFormat:
		return drawing.Mermaid(), nil
	case svgFormat:
		text, err := drawing.SVG()
		if err != nil {
			return "", exitf(ExitUsage, "%w", err)
		}
		return text, nil
	}
	return drawing.DOT(), nil
}

// drawing is the graph of what the argument names.
func (a *app) drawing(ctx context.Context, argument string, planned bool, parameters parameterFlags) (plan.Drawing, error) {
	scope, err := parseScope(argument)
	deployed := err == nil
	switch {
	case deployed && (planned || parameters.given()):
		return plan.Drawing{}, exitf(ExitUsage, "--plan, --set and --values go with a FILE; a file %q is written ./%s", argument, argument)
	case !deployed && !planned:
		d, err := a.read(argument, parameters)
		if err != nil {
			return plan.Drawing{}, err
		}
		return plan.DrawDocument(d.parsed)
	}
	var request schemas.PlanRequest
	if planned {
		if request, err = a.planRequest(argument, false, parameters); err != nil {
			return plan.Drawing{}, err
		}
	}
	conn, err := a.connect()
	if err != nil {
		return plan.Drawing{}, err
	}
	defer conn.Close()
	if planned {
		return drawPlan(ctx, a, conn, request)
	}
	answer, _, err := ask[schemas.StatusAnswer](ctx, a, conn, schemas.QueryStatus, schemas.StatusRequest{Scope: scope}, askTimeout)
	if err != nil {
		return plan.Drawing{}, err
	}
	return plan.DrawStatus(answer), nil
}

func drawPlan(ctx context.Context, a *app, conn *nats.Conn, request schemas.PlanRequest) (plan.Drawing, error) {
	answer, _, err := ask[schemas.PlanAnswer](ctx, a, conn, schemas.QueryPlan, request, liveTimeout)
	if err != nil {
		return plan.Drawing{}, err
	}
	return plan.DrawOperations(answer), nil
}

// completeGraph offers Infrastructures, and files where the word names none.
func (a *app) completeGraph(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := a.completeScope(cmd, args, word)
	return names, cobra.ShellCompDirectiveDefault
}
