package starter

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"windlass/schemas"
)

func newProviders(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "List the providers that documents can name",
		Long: `Lists the engines and clusters of the worker: by what name documents pick them, of
which kind they are, whether they answer, and what answers there. One that does not
answer is told within seconds, with the reason, and delays no other.`,
		Args: optional(0),
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, raw, err := ask[schemas.ProvidersAnswer](ctx, a, conn, schemas.QueryProviders, schemas.ProvidersRequest{}, liveTimeout)
		switch {
		case err != nil:
			return err
		case a.json != nil:
			a.json.raw(raw)
		default:
			a.print(providerLines(answer))
		}
		return nil
	})
	return cmd
}

// providerLines is the whole answer for people.
func providerLines(answer schemas.ProvidersAnswer) []line {
	var t table
	t.head("PROVIDER", "KIND", "HEALTH", "VERSION")
	for _, p := range answer.Providers {
		health := span{"healthy", green}
		if p.Error != nil {
			health = span{strings.ToLower(p.Error.Kind), red}
		}
		t.row(cell(p.Name), cell(string(p.Kind)), health, cell(printable(p.Version)))
	}
	return append(t.lines(), unreachableLines(answer.Providers)...)
}

// unreachableLines tell of the providers that do not answer, with what to do.
func unreachableLines(providers []schemas.ProviderStatus) []line {
	var failures []schemas.Failure
	for _, p := range providers {
		if p.Error != nil {
			f := *p.Error
			f.Resource = "provider " + p.Name
			failures = append(failures, f)
		}
	}
	return failureBlock(failures)
}

// noteUnreachable says on stderr whose part of an answer is missing.
func (a *app) noteUnreachable(providers []schemas.ProviderStatus, missing string) {
	for _, p := range providers {
		a.note("provider %s does not answer, so that %s: %s", p.Name, missing, printable(p.Error.Message))
	}
}

// completeProvider offers the providers of a worker for a flag.
func (a *app) completeProvider(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, nil, func(ctx context.Context, conn *nats.Conn) ([]string, error) {
		answer, _, err := ask[schemas.ProvidersAnswer](ctx, a, conn, schemas.QueryProviders, schemas.ProvidersRequest{Names: true}, completionTimeout)
		names := make([]string, len(answer.Providers))
		for n, p := range answer.Providers {
			names[n] = p.Name + "\t" + string(p.Kind)
		}
		return names, err
	})
}
