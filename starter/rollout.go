package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newRollout(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "See and steer how replicas move to a new version",
		Long: `A deployment that changes a Compute moves its replicas as the Compute's strategy
says. These commands show how far that is, and hold it up, hurry it, or send it back.`,
	}
	cmd.AddCommand(
		newRolloutStatus(a),
		newRolloutOrder(a, "pause", schemas.CommandRolloutPause, "Begin nothing new until resume", "Replicas that start or drain come to their end. The progress deadline stands still."),
		newRolloutOrder(a, "resume", schemas.CommandRolloutResume, "Go on after pause", "The progress deadline has left what it had."),
		newRolloutOrder(a, "promote", schemas.CommandRolloutPromote, "End the wait of a canary step or of a window", "With --all, every wait that there is and will be."),
		newRolloutOrder(a, "abort", schemas.CommandRolloutAbort, "Go back to the stable version", "The deployment fails, and goes where its document says."),
	)
	return cmd
}

func newRolloutOrder(a *app, verb, eventType, short, long string) *cobra.Command {
	var (
		wait   waitFlags
		reason string
		all    bool
	)
	cmd := &cobra.Command{
		Use:               verb + " ENV/NAME RESOURCE",
		Short:             short,
		Long:              short + ". " + long,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	if eventType == schemas.CommandRolloutPromote {
		cmd.Flags().BoolVar(&all, "all", false, "every wait that there is and will be")
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		data := schemas.RolloutRequested{Scope: scope, Resource: args[1], All: all, Reason: reason}
		return a.order(ctx, scope, eventType, data, wait)
	})
	return cmd
}

func newRolloutStatus(a *app) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status ENV/NAME [RESOURCE]",
		Short: "Show the newest rollout of each Compute, or of one",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("ENV/NAME is missing: " + cmd.UseLine())
			}
			return optional(2)(cmd, args)
		},
		ValidArgsFunction: a.completeScope,
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again whenever it has moved, until it has ended")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		resource := ""
		if len(args) == 2 {
			resource = args[1]
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		return a.showRollouts(ctx, conn, scope, resource, watch)
	})
	return cmd
}

// rolloutInterval is how often a rollout that is watched is asked for.
const rolloutInterval = 500 * time.Millisecond

// showRollouts shows rollouts, and where they are watched shows them again until each
// has ended.
func (a *app) showRollouts(ctx context.Context, conn *nats.Conn, scope schemas.Scope, resource string, watch bool) error {
	shown := ""
	for {
		answer, _, err := ask[schemas.StatusAnswer](ctx, a, conn, schemas.QueryStatus, schemas.StatusRequest{Scope: scope}, askTimeout)
		if err != nil {
			return err
		}
		var found []schemas.RolloutRecord
		going := false
		sequence := ""
		for _, r := range answer.Rollouts {
			if resource == "" || r.Resource == resource {
				found = append(found, r)
				going = going || !r.Phase.Final()
				sequence += r.Sequence
			}
		}
		if len(found) == 0 {
			return exitf(ExitNotFound, "no rollout of %s is known; the first deployment of a Compute is none", strings.TrimSuffix(scope.String()+"/"+resource, "/"))
		}
		if sequence != shown {
			a.printRollouts(found)
			shown = sequence
		}
		if !watch || !going {
			return nil
		}
		select {
		case <-ctx.Done():
			return exitSilently(ExitInterrupted)
		case <-time.After(rolloutInterval):
		}
	}
}

func (a *app) printRollouts(found []schemas.RolloutRecord) {
	if a.json != nil {
		for _, r := range found {
			a.json.write(r)
		}
		return
	}
	var lines []line
	for i, r := range found {
		if i > 0 {
			lines = append(lines, line{})
		}
		lines = append(lines, rolloutLines(r, a.now())...)
	}
	a.print(lines)
}

// rolloutWords says in a few words where a rollout stands.
func rolloutWords(r schemas.RolloutStatus) string {
	text := r.Message
	if r.Weight != nil {
		text = fmt.Sprintf("%d%% of the requests, %s", *r.Weight, text)
	}
	if r.Paused {
		text = "paused; " + text
	}
	if r.Error != nil {
		text = failureSentence(*r.Error) + "; " + text
	}
	return text
}
