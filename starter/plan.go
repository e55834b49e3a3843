package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

// exitChanges is what plan --detailed-exitcode ends with when there is something
// to do: the number that users of other planners expect.
const exitChanges ExitCode = 2

func newPlan(a *app) *cobra.Command {
	var (
		parameters     parameterFlags
		detailed, gone bool
		out            string
		targets        []string
	)
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what a deployment would change, and why",
		Long: `Asks a worker what deploying the document would do now. Nothing is changed, and
nothing is stored. FILE "-" is stdin. With --destroy the plan is that of
"windlass destroy"; ENV/NAME stands in the place of FILE then.

  + is created    ~ is updated      -/+ is deleted and created anew
  - is deleted    = stays, though not declared so: retained, or protected

What is as declared is counted but not listed.`,
		Example: `  windlass plan users.yaml
  windlass plan users.yaml --detailed-exitcode   # 0: nothing to do, 2: changes, others: errors
  windlass plan staging/users --destroy`,
		Args: argument("FILE"),
	}
	parameters.register(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 0 when there is nothing to do, 2 when there is, 1 on an error")
	cmd.Flags().StringVar(&out, "out", "", `file to write the plan to, for "windlass deploy --plan"`)
	cmd.Flags().StringSliceVar(&targets, "target", nil, "resource to plan, with what it needs; may be repeated")
	cmd.Flags().BoolVar(&gone, "destroy", false, "plan the destruction of ENV/NAME")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if gone && out != "" {
			return exitf(ExitUsage, "--out does not go with --destroy: a destruction takes no plan")
		}
		if gone && len(targets) > 0 {
			return exitf(ExitUsage, "--target does not go with --destroy: a destruction takes everything")
		}
		request, err := a.planRequest(args[0], gone, parameters)
		if err != nil {
			return detailedExit(detailed, false, err)
		}
		request.Targets = targets
		changes, err := a.plan(ctx, request, out)
		return detailedExit(detailed, changes, err)
	})
	return cmd
}

// plan shows the plan and says whether it changes anything.
func (a *app) plan(ctx context.Context, request schemas.PlanRequest, out string) (changes bool, err error) {
	conn, err := a.connect()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	answer, raw, err := ask[schemas.PlanAnswer](ctx, a, conn, schemas.QueryPlan, request, liveTimeout)
	if err != nil {
		return false, err
	}
	changes = answer.Moves()
	if out != "" {
		if err := writePlan(out, request, answer); err != nil {
			return false, err
		}
	}
	if a.json != nil {
		a.json.raw(raw)
		return changes, nil
	}
	a.print(planLines(answer))
	return changes, nil
}

func (a *app) planRequest(argument string, gone bool, parameters parameterFlags) (schemas.PlanRequest, error) {
	if gone {
		scope, err := parseScope(argument)
		return schemas.PlanRequest{Scope: scope}, err
	}
	d, err := a.read(argument, parameters)
	if err != nil {
		return schemas.PlanRequest{}, err
	}
	return schemas.PlanRequest{Document: string(d.text), Parameters: d.parameters}, nil
}

// marks are how an operation is marked in a plan.
var marks = map[schemas.Action]span{
	schemas.ActionCreate:  {"+", green},
	schemas.ActionUpdate:  {"~", yellow},
	schemas.ActionReplace: {"-/+", red},
	schemas.ActionDelete:  {"-", red},
	schemas.ActionRetain:  {"=", dim},
}

// planLines is a plan for people: a sentence per resource that changes, with its
// fields below it, and one line that sums up.
func planLines(answer schemas.PlanAnswer) []line {
	at := "not deployed yet"
	if answer.Revision > 0 {
		at = "now at " + revisionWords(answer.Revision)
	}
	head := line{{answer.Scope.String(), bold}, {"  " + at, plain}}
	return operationLines(head, answer, "No changes: everything is as declared.")
}

// operationLines are the operations below a head line, or the words for none.
func operationLines(head line, answer schemas.PlanAnswer, none string) []line {
	var body []line
	for _, o := range answer.Operations {
		mark, shown := marks[o.Action]
		if !shown {
			continue
		}
		sentence := line{{"  ", plain}, mark, {" " + o.Resource, bold}, {fmt.Sprintf(" (%s) is %s", o.Type, participle(o)), plain}}
		if o.Action == schemas.ActionDelete && !o.Adopted && (o.Type == schemas.TypeStorage || o.Type == schemas.TypeDatabase) {
			sentence = append(sentence, span{" with its data", red})
		}
		if len(o.Changes) == 0 {
			sentence = append(sentence, span{": " + o.Why(), plain})
		}
		body = append(body, sentence)
		for _, c := range o.Changes {
			body = append(body, changeLine(c))
		}
		if len(o.Unused) > 0 {
			body = append(body, line{{fmt.Sprintf("      not used by provider %s: %s", o.Provider, strings.Join(o.Unused, ", ")), yellow}})
		}
	}
	if len(body) == 0 {
		return []line{head, {}, {{none, plain}}}
	}
	lines := append([]line{head, {}}, body...)
	return append(lines, line{}, line{{"Plan: " + answer.Summary + ".", plain}})
}

var participles = map[schemas.Action]string{
	schemas.ActionCreate:  "created",
	schemas.ActionUpdate:  "updated",
	schemas.ActionReplace: "replaced",
	schemas.ActionDelete:  "deleted",
	schemas.ActionRetain:  "retained",
}

func participle(o schemas.Operation) string {
	switch {
	case o.Adopted && o.Action == schemas.ActionCreate:
		return "taken over"
	case o.Adopted && o.Action == schemas.ActionDelete:
		return "given back"
	}
	return participles[o.Action]
}

func changeLine(c schemas.Change) line {
	indent := span{"      ", plain}
	switch {
	case c.From == nil:
		return line{indent, {"+ ", green}, {c.Path + ": " + compact(c.To), plain}}
	case c.To == nil:
		return line{indent, {"- ", red}, {c.Path + ": " + compact(c.From), plain}}
	}
	return line{indent, {"~ ", yellow}, {fmt.Sprintf("%s: %s -> %s", c.Path, compact(c.From), compact(c.To)), plain}}
}

// compact is a value as JSON in one line.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
