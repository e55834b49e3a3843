package starter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// edgeIsAway is a provider that does not answer.
var edgeIsAway = schemas.ProviderStatus{Name: "edge-1", Kind: schemas.ProviderDocker, Error: &schemas.Failure{
	Kind: "Unavailable", Message: "ask the engine for its version: connection refused", Hint: "see whether the container engine runs and can be reached",
}}

func TestProvidersAreListedWithTheirHealth(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.providers = schemas.ProvidersAnswer{Providers: []schemas.ProviderStatus{
		{Name: "docker", Kind: schemas.ProviderDocker, Version: "Docker Engine 20.10.24"}, edgeIsAway,
	}}
	p := ran(t, ExitDone, w.url, "providers")
	requireGolden(t, "providers", p.stdout.String())
	require.Empty(t, p.stderr.String())

	p = ran(t, ExitDone, w.url, "providers", "-o", "json")
	lines := jsonOutputOf(t, p, "providers")
	require.Len(t, lines, 2)
	providers := lines[1]["providers"].([]any)
	require.Equal(t, map[string]any{"name": "docker", "kind": "docker", "version": "Docker Engine 20.10.24"}, providers[0])
	require.Equal(t, "edge-1", providers[1].(map[string]any)["name"])
	require.Equal(t, "see whether the container engine runs and can be reached", providers[1].(map[string]any)["error"].(map[string]any)["hint"])

	require.Equal(t, "docker\tdocker\nedge-1\tdocker\n:4\n", completed(t, "--nats", w.url, "container", "run", "--provider", ""))
	require.Equal(t, ":4\n", completed(t, "--nats", "nats://127.0.0.1:1", "container", "run", "--provider", ""), "what does not answer offers nothing")
}

func TestStatusSaysWhereResourcesAreAndWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	since := time.Now().Add(-2 * time.Hour)
	w.know(schemas.StatusAnswer{
		Infrastructure: schemas.InfrastructureRecord{Scope: users, State: schemas.InfrastructureReady, Revision: 2, Stable: 2, Since: since},
		Resources: []schemas.ResourceRecord{
			{Scope: users, Resource: "backend", Type: schemas.TypeNetwork, Provider: "docker", State: schemas.ResourceReady, Revision: 2, Since: since},
			{Scope: users, Resource: "far", Type: schemas.TypeCompute, Provider: "edge-1", State: schemas.ResourceReady, Revision: 2, Since: since},
		},
		Unreachable: []schemas.ProviderStatus{edgeIsAway},
	})
	p := ran(t, ExitDone, w.url, "status", "staging/users", "--live")
	requireGolden(t, "status-spread", p.stdout.String())
}

func TestWhoDoesNotAnswerIsNotedWhereSomethingIsMissing(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.containers = schemas.ContainersAnswer{
		Containers:  []schemas.ContainerView{{Record: schemas.ContainerRecord{ContainerStatus: schemas.ContainerStatus{Environment: "staging", Container: "cache", Provider: "edge-1"}}}},
		Unreachable: []schemas.ProviderStatus{edgeIsAway},
	}
	w.scopes = schemas.ScopesAnswer{Unreachable: []schemas.ProviderStatus{edgeIsAway}}
	for missing, args := range map[string][]string{
		"nothing is known of what runs there": {"container", "stats"},
		"what only it holds is left out":      {"resync"},
	} {
		p := ran(t, ExitDone, w.url, args...)
		first, _, _ := strings.Cut(p.stderr.String(), "\n")
		require.Equal(t, "windlass: provider edge-1 does not answer, so that "+missing+": ask the engine for its version: connection refused", first)
	}
}
