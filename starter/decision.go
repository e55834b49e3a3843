package starter

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newApprove(a *app) *cobra.Command {
	var (
		wait   waitFlags
		reason string
	)
	cmd := &cobra.Command{
		Use:   "approve ENV/NAME REVISION",
		Short: "Approve the plan of a deployment that waits for it",
		Long: `Lets the plan of a revision run that waits for approval. "windlass status" names
the revision, "windlass events --type deployment.planned" shows its plan. When
reality has moved meanwhile, it is planned again, and the new plan waits again. To
refuse a plan, cancel the deployment.

Who may approve is who may publish on the subject
windlass.command.<environment>.<infrastructure>.deployment.approve.requested.`,
		Example:           `  windlass approve production/users 7 --reason "CHG-4711" --wait`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, revision, err := parseRevisionOf(args)
		if err != nil {
			return err
		}
		data := schemas.ApproveRequested{Scope: scope, Revision: revision, Reason: reason}
		return a.order(ctx, scope, schemas.CommandApproveRequested, data, wait)
	})
	return cmd
}

func newResume(a *app) *cobra.Command {
	var (
		wait                  waitFlags
		reason                string
		retry, skip, rollback bool
	)
	cmd := &cobra.Command{
		Use:   "resume ENV/NAME REVISION --retry|--skip|--rollback",
		Short: "Decide how a deployment goes on that failed and paused",
		Long: `A deployment of a document with "onFailure: pause" waits after a failure until
somebody decides:

  --retry     plan again, and run what is left to do
  --skip      go on as if what failed were done; the revision is no target of a
              rollback then
  --rollback  go back to the last stable revision`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&retry, "retry", false, "plan again, and run what is left to do")
	flags.BoolVar(&skip, "skip", false, "go on as if what failed were done")
	flags.BoolVar(&rollback, "rollback", false, "go back to the last stable revision")
	flags.StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.MarkFlagsOneRequired("retry", "skip", "rollback")
	cmd.MarkFlagsMutuallyExclusive("retry", "skip", "rollback")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, revision, err := parseRevisionOf(args)
		if err != nil {
			return err
		}
		decision := schemas.DecisionRetry
		switch {
		case skip:
			decision = schemas.DecisionSkip
		case rollback:
			decision = schemas.DecisionRollback
		}
		data := schemas.ResumeRequested{Scope: scope, Revision: revision, Decision: decision, Reason: reason}
		return a.order(ctx, scope, schemas.CommandResumeRequested, data, wait)
	})
	return cmd
}

func parseRevisionOf(args []string) (schemas.Scope, int, error) {
	scope, err := parseScope(args[0])
	if err != nil {
		return scope, 0, err
	}
	revision, err := parseRevision(args[1])
	return scope, revision, err
}

// decisionCommands are the commands that bring the decisions.
func decisionCommands(scope schemas.Scope, revision int, decisions []schemas.Decision) string {
	var commands []string
	for _, d := range decisions {
		if d == schemas.DecisionApprove {
			commands = append(commands, fmt.Sprintf("windlass approve %s %d", scope, revision))
		} else {
			commands = append(commands, fmt.Sprintf("windlass resume %s %d --%s", scope, revision, d))
		}
	}
	return strings.Join(commands, ", or ")
}
