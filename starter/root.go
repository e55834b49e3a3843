package starter

import (
	"context"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

// newRoot puts the sub-commands together.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "windlass",
		Short: "Deploy infrastructure with events on NATS, durably",
		Long: `windlass sends commands to a Windlass worker over NATS, asks it questions, and
shows what moves. It talks to NATS only: what it sends is stored there and takes
effect once, even when no worker runs at that moment.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.url, "nats", defaultURL(), "address of NATS; the default is NATS_URL, or "+nats.DefaultURL)
	flags.StringVar(&a.credentials, "creds", "", "file with NATS credentials")
	a.output = textOutput
	flags.VarP(&a.output, "output", "o", "text or json (JSON lines, the first one names the schema)")
	root.Flag("nats").DefValue = ""
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(
		newValidate(a), newGraph(a), newPlan(a), newDeploy(a), newStatus(a), newList(a), newWatch(a),
		newRevisions(a), newDiff(a), newDrift(a), newRollback(a),
		newEvents(a), newDestroy(a), newCancel(a), newApprove(a), newResume(a), newUnprotect(a), newResync(a), newRollout(a), newScale(a), newContainer(a), newKubernetes(a), newProviders(a), newVersion(a),
		&cobra.Command{Use: "exit-codes", Short: "The exit codes and what they mean", Long: exitCodeTable()},
	)
	return root
}

func defaultURL() string {
	if url := os.Getenv("NATS_URL"); url != "" {
		return url
	}
	return nats.DefaultURL
}

// run makes the RunE of a sub-command: it begins the output, and what fails
// without an exit code of its own is an internal error.
func (a *app) run(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.output == jsonOutput {
			_, path, _ := strings.Cut(cmd.CommandPath(), " ")
			a.json = newJSONLines(a.stdout, strings.ReplaceAll(path, " ", "."))
		}
		err := work(cmd.Context(), args)
		if err == nil {
			return nil
		}
		if code := codeOf(err, ExitInternal); code == ExitInternal {
			if cmd.Context().Err() != nil {
				return exitSilently(ExitInterrupted)
			}
			return exitf(code, "%w", err)
		}
		return err
	}
}
