package starter

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newContainer(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "container",
		Short: "Run and look after single containers",
		Long: `A single container has a life of its own, apart from every Infrastructure: it is
run, stopped, started, paused, resumed, restarted and removed by commands, and a
worker watches it in between and does what its unhealthy policy says.`,
	}
	cmd.AddCommand(
		newContainerRun(a),
		newContainerOrder(a, "stop", schemas.CommandContainerStop, "Stop a container and keep it", "SIGTERM, its grace period, SIGKILL. It stays stopped, whatever its restart policy says."),
		newContainerOrder(a, "start", schemas.CommandContainerStart, "Start a container that does not run", "One that runs goes on; one that is paused is resumed."),
		newContainerOrder(a, "pause", schemas.CommandContainerPause, "Freeze the processes of a container", "They keep their memory and connections."),
		newContainerOrder(a, "resume", schemas.CommandContainerResume, "Have a container go on that was paused", "It is checked again at once."),
		newContainerOrder(a, "restart", schemas.CommandContainerRestart, "Stop a container and start it", "It stays the same container, with what it has written."),
		newContainerOrder(a, "remove", schemas.CommandContainerRemove, "Stop and remove a container", "Volumes that it was given stay."),
		newContainerStatus(a), newContainerList(a), newContainerLogs(a), newContainerStats(a),
	)
	return cmd
}

func newContainerOrder(a *app, verb, eventType, short, long string) *cobra.Command {
	var (
		wait   waitFlags
		reason string
	)
	cmd := &cobra.Command{
		Use:               verb + " ENV/NAME",
		Short:             short,
		Long:              short + ". " + long,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeContainer,
	}
	wait.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the event")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := wait.check(); err != nil {
			return err
		}
		scope, err := parseContainer(args[0])
		if err != nil {
			return err
		}
		data := schemas.ContainerRequested{Environment: scope.Environment, Container: scope.Infrastructure, Reason: reason}
		s, err := a.newSending(scope, eventType, data)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		return s.execute(ctx, wait, false)
	})
	return cmd
}

// parseContainer reads ENV/NAME of a container.
func parseContainer(text string) (schemas.Scope, error) {
	scope, err := parseScope(text)
	if err != nil {
		err = exitf(ExitUsage, "%q names no container; write ENVIRONMENT/NAME, such as staging/cache", text)
	}
	return scope, err
}

// completeContainer offers the containers that a worker knows; when nothing answers it
// offers none.
func (a *app) completeContainer(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func(ctx context.Context, conn *nats.Conn) ([]string, error) {
		answer, _, err := ask[schemas.ContainersAnswer](ctx, a, conn, schemas.QueryContainers, schemas.ContainersRequest{}, completionTimeout)
		names := make([]string, len(answer.Containers))
		for n, view := range answer.Containers {
			names[n] = view.Record.Scope().String() + "\t" + view.Record.Moved
		}
		return names, err
	})
}
