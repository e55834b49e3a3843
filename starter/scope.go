package starter

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

// completionTimeout bounds what a press of the Tab key waits for.
const completionTimeout = time.Second

// label is a DNS label, which names of environments and Infrastructures are.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// parseScope reads ENV/NAME.
func parseScope(text string) (schemas.Scope, error) {
	environment, name, found := strings.Cut(text, "/")
	if !found || !label.MatchString(environment) || !label.MatchString(name) {
		return schemas.Scope{}, exitf(ExitUsage, "%q names no Infrastructure; write ENVIRONMENT/NAME, such as staging/users", text)
	}
	return schemas.Scope{Environment: environment, Infrastructure: name}, nil
}

// completeScope offers the Infrastructures that a worker knows; when nothing
// answers it offers none.
func (a *app) completeScope(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func(ctx context.Context, conn *nats.Conn) ([]string, error) {
		answer, _, err := ask[schemas.ListAnswer](ctx, a, conn, schemas.QueryList, schemas.ListRequest{}, completionTimeout)
		names := make([]string, len(answer.Infrastructures))
		for n, i := range answer.Infrastructures {
			names[n] = i.Scope.String() + "\t" + infrastructureWords(i.State)
		}
		return names, err
	})
}

// complete offers names for the first argument; when nothing answers it offers none.
func (a *app) complete(cmd *cobra.Command, args []string, names func(context.Context, *nats.Conn) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	conn, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	found, err := names(ctx, conn)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
