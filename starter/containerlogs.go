package starter

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

// logInterval is how often new lines are asked for.
const logInterval = time.Second

func newContainerLogs(a *app) *cobra.Command {
	var (
		tail       int
		follow     bool
		timestamps bool
	)
	cmd := &cobra.Command{
		Use:   "logs ENV/NAME",
		Short: "Print what a container has written",
		Long: `Prints the newest lines that a container has written; those of its stderr go to
stderr. Secrets that it was given are left out. With --follow it goes on with new
lines until Ctrl-C.`,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeContainer,
	}
	cmd.Flags().IntVar(&tail, "tail", schemas.DefaultLogLines, fmt.Sprintf("how many of the newest lines, at most %d", schemas.MaxLogLines))
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	cmd.Flags().BoolVarP(&timestamps, "timestamps", "t", false, "print when each line was written")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if tail < 1 || tail > schemas.MaxLogLines {
			return exitf(ExitUsage, "--tail %d is not from 1 to %d", tail, schemas.MaxLogLines)
		}
		scope, err := parseContainer(args[0])
		if err != nil {
			return err
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		request := schemas.LogsRequest{Environment: scope.Environment, Container: scope.Infrastructure, Tail: tail}
		for {
			answer, _, err := ask[schemas.LogsAnswer](ctx, a, conn, schemas.QueryLogs, request, liveTimeout)
			if err != nil {
				return interrupted(ctx, err)
			}
			if answer.Truncated {
				a.note("older lines are left out; ask for fewer with --tail")
			}
			for _, l := range answer.Lines {
				a.printLog(l, timestamps)
				request.After, request.Tail = l.Time, schemas.MaxLogLines
			}
			if !follow {
				return nil
			}
			select {
			case <-ctx.Done():
				return exitSilently(ExitInterrupted)
			case <-time.After(logInterval):
			}
		}
	})
	return cmd
}

// interrupted is the end of a command that Ctrl-C ended, whatever broke for it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exitSilently(ExitInterrupted)
	}
	return err
}

func (a *app) printLog(l schemas.LogLine, timestamps bool) {
	if a.json != nil {
		a.json.write(l)
		return
	}
	text := printable(l.Text)
	if timestamps {
		text = l.Time.UTC().Format(time.RFC3339Nano) + " " + text
	}
	out := a.stdout
	if l.Stream == "stderr" {
		out = a.stderr
	}
	fmt.Fprintln(out, text)
}
