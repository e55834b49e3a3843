package starter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newStatus(a *app) *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "status ENV/NAME",
		Short: "Show an Infrastructure and its resources",
		Long: `Shows what is recorded of an Infrastructure: its resources with state, age,
revision and outputs, and its failures with their evidence. With --live the
worker also asks engines and clusters for the replicas and what they use, and
clusters for the objects that each resource is made of.`,
		Args:              argument("ENV/NAME"),
		ValidArgsFunction: a.completeScope,
	}
	cmd.Flags().BoolVar(&live, "live", false, "also the objects of clusters, and the replicas with health, CPU, memory and network; takes a second or more")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		timeout := askTimeout
		if live {
			timeout = liveTimeout
		}
		answer, raw, err := ask[schemas.StatusAnswer](ctx, a, conn, schemas.QueryStatus, schemas.StatusRequest{Scope: scope, Live: live}, timeout)
		if err != nil {
			return err
		}
		if a.json != nil {
			a.json.raw(raw)
			return nil
		}
		a.print(statusLines(answer, live, a.now()))
		return nil
	})
	return cmd
}

// statusLines is the whole answer for people.
func statusLines(answer schemas.StatusAnswer, live bool, now time.Time) []line {
	record := answer.Infrastructure
	state := infrastructureWords(record.State)
	head := line{
		{record.Scope.String(), bold}, {"  ", plain}, {state, headerColour(state)},
		{"  " + revisionWords(record.Revision), plain},
	}
	if record.Stable > 0 && record.Stable != record.Revision {
		head = append(head, span{fmt.Sprintf("  stable %s", revisionWords(record.Stable)), plain})
	}
	lines := []line{append(head, span{"  " + age(record.Since, now), dim})}
	if len(record.Decisions) > 0 {
		lines = append(lines, line{{"waits for: " + decisionCommands(record.Scope, record.Revision, record.Decisions), yellow}})
	}
	lines = append(lines, section(resourceTable(answer.Resources, now))...)
	lines = append(lines, section(outputTable(answer.Resources))...)
	if live {
		lines = append(lines, section(objectTable(answer.Objects))...)
		lines = append(lines, section(replicaTable(answer.Replicas, now))...)
		lines = append(lines, unreachableLines(answer.Unreachable)...)
	}
	t := newTree(record.Scope, record.Since)
	t.seed(answer)
	return append(lines, failureBlock(t.failures)...)
}

// section is a table after an empty line; one with no rows is nothing.
func section(t table) []line {
	if len(t.rows) < 2 {
		return nil
	}
	return append([]line{{}}, t.lines()...)
}

func resourceTable(resources []schemas.ResourceRecord, now time.Time) table {
	var t table
	spread := slices.ContainsFunc(resources, func(r schemas.ResourceRecord) bool { return r.Provider != resources[0].Provider })
	if spread {
		t.head("RESOURCE", "TYPE", "PROVIDER", "STATE", "AGE", "REVISION", "CAUSE")
	} else {
		t.head("RESOURCE", "TYPE", "STATE", "AGE", "REVISION", "CAUSE")
	}
	for _, r := range resources {
		symbol, paint := stateSymbol(r.State, now)
		cause := span{printable(r.Cause), dim}
		if r.Protected {
			cause.text = strings.TrimPrefix(cause.text+"; protected", "; ")
		}
		if r.Error != nil {
			cause = span{failureSentence(*r.Error), red}
		}
		cells := []span{cell(r.Resource), cell(string(r.Type))}
		if spread {
			cells = append(cells, cell(r.Provider))
		}
		t.row(append(cells, span{symbol + " " + string(r.State), paint}, cell(age(r.Since, now)), number(r.Revision), cause)...)
	}
	return t
}

func outputTable(resources []schemas.ResourceRecord) table {
	var t table
	t.head("OUTPUT", "VALUE")
	for _, r := range resources {
		for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
			t.row(cell(r.Resource+"."+name), cell(printable(r.Outputs[name])))
		}
	}
	return t
}

// objectTable names each resource once, above all of its objects.
func objectTable(objects []schemas.ResourceObject) table {
	var t table
	t.head("RESOURCE", "KIND", "NAMESPACE", "NAME", "STATE")
	last := ""
	for _, o := range objects {
		resource, state := o.Resource, span{"✔ ready", green}
		if resource == last {
			resource = ""
		}
		last = o.Resource
		switch {
		case !o.Ready:
			state = span{"○ " + printable(o.Message), yellow}
		case o.Message != "":
			state.text += ": " + printable(o.Message)
		}
		t.row(cell(resource), cell(o.Kind), cell(o.Namespace), cell(o.Name), state)
	}
	return t
}

func replicaTable(replicas []schemas.ReplicaStatus, now time.Time) table {
	var t table
	t.head("REPLICA", "STATE", "HEALTH", "AGE", "RESTARTS", "CPU", "MEMORY", "NET IN", "NET OUT")
	for _, r := range replicas {
		t.row(append([]span{cell(r.Name)}, usageCells(r, now)...)...)
	}
	return t
}

func healthCell(health string) span {
	c := cell(health)
	switch health {
	case "Healthy", "healthy":
		c.colour = green
	case "Unhealthy", "unhealthy":
		c.colour = red
	}
	return c
}
