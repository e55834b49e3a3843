package starter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"windlass/events"
	"windlass/schemas"
)

func newDestroy(a *app) *cobra.Command {
	var (
		wait waitFlags
		yes  bool
	)
	cmd := &cobra.Command{
		Use:   "destroy ENV/NAME",
		Short: "Destroy an Infrastructure and everything in it",
		Long: `Sends the command to remove everything that was deployed as ENV/NAME, its volumes
and their data too. Asks before on a terminal; elsewhere --yes is needed.`,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeScope,
	}
	wait.register(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		if err := wait.check(); err != nil {
			return err
		}
		if !yes && !a.canAsk() {
			return exitf(ExitUsage, "destroy asks only on a terminal; elsewhere give --yes")
		}
		s, err := a.newSending(scope, schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: scope})
		if err != nil {
			return err
		}
		defer s.conn.Close()
		// Without a worker the command is stored for later, and whether there is
		// something to destroy shows then.
		_, _, err = ask[schemas.StatusAnswer](ctx, a, s.conn, schemas.QueryStatus, schemas.StatusRequest{Scope: scope}, askTimeout)
		switch code := codeOf(err, ExitInternal); {
		case err == nil, code == ExitUnreachable:
		case code == ExitNotFound && s.isRequested(ctx):
			// Its deployment is stored and not served yet; what comes after it is.
		default:
			return err
		}
		if !yes {
			if err := a.confirm(ctx, fmt.Sprintf("Destroy %s and all its data? [y/N] ", scope), "not destroyed"); err != nil {
				return err
			}
		}
		return s.execute(ctx, wait, false)
	})
	return cmd
}

// canAsk says whether a person can answer a question.
func (a *app) canAsk() bool {
	file, ok := a.stdin.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// confirm asks on the terminal and fails, with what was not done, unless the answer is yes.
func (a *app) confirm(ctx context.Context, question, not string) error {
	fmt.Fprint(a.stderr, question)
	answer := make(chan string, 1)
	go func() {
		text, err := bufio.NewReader(a.stdin).ReadString('\n')
		if err != nil && err != io.EOF {
			text = ""
		}
		answer <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return exitf(ExitCancelled, "%s", not)
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return exitf(ExitInterrupted, "interrupted; nothing was sent")
	}
}

// isRequested says whether a deployment of the scope is among the stored commands.
func (s *sending) isRequested(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	requested, err := events.IsRequested(bounded, s.js, s.scope)
	return err == nil && requested
}
