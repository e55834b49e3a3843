package starter

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newDeploy(a *app) *cobra.Command {
	var (
		parameters parameterFlags
		wait       waitFlags
		id, plan   string
		supersede  bool
		targets    []string
	)
	cmd := &cobra.Command{
		Use:   "deploy [FILE]",
		Short: "Deploy a document",
		Long: `Checks the document and sends it as a command to NATS, which stores it; a worker
brings the Infrastructure there. FILE "-" is stdin.

With --plan the document is the one in a file that "windlass plan --out" wrote, and
exactly that plan is run: the command is rejected when reality or the revision has
moved since.

With --id the command takes effect once, however often it is sent; sent again
with --wait, it shows what became of it.`,
		Example: `  windlass deploy users.yaml --wait
  windlass deploy service.yaml --set image=registry.example/users:1.2.0 --wait --timeout 5m
  windlass deploy users.yaml --id "$CI_PIPELINE_ID" --wait -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if plan != "" {
				return optional(0)(cmd, args)
			}
			return argument("FILE")(cmd, args)
		},
	}
	parameters.register(cmd)
	wait.register(cmd)
	cmd.Flags().StringVar(&id, "id", "", "id of the command's event; the default is a new one")
	cmd.Flags().BoolVar(&supersede, "supersede", false, "cancel the deployment that runs instead of waiting for its end")
	cmd.Flags().StringSliceVar(&targets, "target", nil, "resource to deploy, with what it needs; may be repeated")
	cmd.Flags().StringVar(&plan, "plan", "", `file with the plan to run, from "windlass plan --out"; instead of FILE`)
	cmd.MarkFlagsMutuallyExclusive("plan", "set")
	cmd.MarkFlagsMutuallyExclusive("plan", "values")
	cmd.MarkFlagsMutuallyExclusive("plan", "target")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := wait.check(); err != nil {
			return err
		}
		if cmd.Flags().Changed("id") && id == "" {
			return exitf(ExitUsage, "--id is empty")
		}
		request := schemas.DeploymentRequested{Supersede: supersede, Targets: targets}
		var (
			d   *document
			err error
		)
		if plan != "" {
			d, err = a.readPlan(plan, &request)
		} else {
			d, err = a.read(args[0], parameters)
		}
		if err != nil {
			return err
		}
		request.Parameters = d.parameters
		if request.Document, err = json.Marshal(string(d.text)); err != nil {
			return err
		}
		s, err := a.newSending(d.parsed.Scope(), schemas.CommandDeploymentRequested, request)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		if id != "" {
			s.command.SetID(id)
		}
		s.source = d.source
		return s.execute(ctx, wait, id != "")
	})
	return cmd
}
