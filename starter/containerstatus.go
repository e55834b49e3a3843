package starter

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newContainerStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "status ENV/NAME",
		Short:             "Show a container",
		Long:              "Shows what is recorded of a container, with the evidence of its last failure, and what its engine says of it now.",
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeContainer,
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseContainer(args[0])
		if err != nil {
			return err
		}
		request := schemas.ContainersRequest{Environment: scope.Environment, Container: scope.Infrastructure, Removed: true, Live: true}
		return a.showContainers(ctx, request, func(answer schemas.ContainersAnswer) []line {
			return containerLines(answer.Containers[0], a.now())
		})
	})
	return cmd
}

func newContainerList(a *app) *cobra.Command {
	var request schemas.ContainersRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the containers",
		Args:  optional(0),
	}
	cmd.Flags().StringVarP(&request.Environment, "environment", "e", "", "only those of this environment")
	cmd.Flags().BoolVar(&request.Removed, "removed", false, "also those that were removed")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		return a.showContainers(ctx, request, func(answer schemas.ContainersAnswer) []line {
			t := containerTable(answer.Containers, a.now())
			return t.lines()
		})
	})
	return cmd
}

func newContainerStats(a *app) *cobra.Command {
	var request schemas.ContainersRequest
	cmd := &cobra.Command{
		Use:               "stats [ENV/NAME]",
		Short:             "Show what containers use",
		Long:              "Asks the engines what one container uses, or every one: CPU in cores averaged over a second, memory, and network since it started.",
		Args:              optional(1),
		ValidArgsFunction: a.completeContainer,
	}
	cmd.Flags().StringVarP(&request.Environment, "environment", "e", "", "only those of this environment")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		request.Live = true
		if len(args) == 1 {
			scope, err := parseContainer(args[0])
			if err != nil {
				return err
			}
			request.Environment, request.Container = scope.Environment, scope.Infrastructure
		}
		return a.showContainers(ctx, request, func(answer schemas.ContainersAnswer) []line {
			t := statsTable(answer.Containers, a.now())
			return t.lines()
		})
	})
	return cmd
}

// showContainers asks for containers and shows them.
func (a *app) showContainers(ctx context.Context, request schemas.ContainersRequest, lines func(schemas.ContainersAnswer) []line) error {
	conn, err := a.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	timeout := askTimeout
	if request.Live {
		timeout = liveTimeout
	}
	answer, raw, err := ask[schemas.ContainersAnswer](ctx, a, conn, schemas.QueryContainers, request, timeout)
	if err != nil {
		return err
	}
	a.noteUnreachable(answer.Unreachable, "nothing is known of what runs there")
	switch {
	case a.json != nil:
		a.json.raw(raw)
	case len(answer.Containers) == 0:
		a.note("there is no container")
	default:
		a.print(lines(answer))
	}
	return nil
}

func containerTable(views []schemas.ContainerView, now time.Time) table {
	var t table
	t.head("CONTAINER", "STATE", "HEALTH", "AGE", "IMAGE", "LAST")
	for _, v := range views {
		t.row(cell(v.Record.Scope().String()), cell(orDash(v.Record.State)), healthCell(orDash(v.Record.Health)), cell(age(v.Record.Since, now)),
			cell(orDash(printable(v.Record.Image))), cell(printable(v.Record.Moved+detail(containerDetail(v.Record.ContainerStatus)))))
	}
	return t
}

func statsTable(views []schemas.ContainerView, now time.Time) table {
	var t table
	t.head("CONTAINER", "STATE", "HEALTH", "UP", "RESTARTS", "CPU", "MEMORY", "NET IN", "NET OUT")
	for _, v := range views {
		if v.Live == nil {
			t.row(cell(v.Record.Scope().String()), cell("-"), cell("-"), cell("-"), cell("-"), cell("-"), cell("-"), cell("-"), cell("-"))
			continue
		}
		t.row(append([]span{cell(v.Record.Scope().String())}, usageCells(*v.Live, now)...)...)
	}
	return t
}

// usageCells are a container's state and what it uses.
func usageCells(r schemas.ReplicaStatus, now time.Time) []span {
	state := r.State
	if r.ExitCode != nil {
		state += fmt.Sprintf(" (%d)", *r.ExitCode)
	}
	memory := units.BytesSize(float64(r.MemoryBytes))
	if r.MemoryLimitBytes > 0 {
		memory += " of " + units.BytesSize(float64(r.MemoryLimitBytes))
	}
	return []span{
		cell(state), healthCell(r.Health), cell(age(r.StartedAt, now)), cell(fmt.Sprint(r.Restarts)),
		cell(fmt.Sprintf("%.2f", r.CPU)), cell(memory),
		cell(units.HumanSize(float64(r.NetworkInBytes))), cell(units.HumanSize(float64(r.NetworkOutBytes))),
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// containerLines is the whole of one container for people.
func containerLines(v schemas.ContainerView, now time.Time) []line {
	c := v.Record
	lines := []line{{{c.Scope().String(), bold}, {"  " + c.Moved, plain}, {"  " + age(c.Since, now), dim}}}
	var t table
	field := func(name, value string) {
		if value != "" {
			t.row(span{name, dim}, cell(printable(value)))
		}
	}
	field("image", c.Image)
	field("provider", c.Provider)
	field("name", c.Name)
	field("state", c.State)
	field("health", c.Health)
	field("cause", c.Cause)
	if c.ExitCode != nil {
		field("exit code", fmt.Sprint(*c.ExitCode))
	}
	if c.Restarts > 0 {
		field("restarts", fmt.Sprintf("%d in a row by the unhealthy policy", c.Restarts))
	}
	field("workflow", c.Workflow)
	lines = append(lines, t.lines()...)
	if v.Live != nil {
		lines = append(lines, section(statsTable([]schemas.ContainerView{v}, now))...)
	}
	if c.Error != nil {
		lines = append(lines, failureBlock([]schemas.Failure{*c.Error})...)
	}
	return lines
}
