package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

var refused = &activities.Fault{Kind: activities.Unavailable, Message: "ask the engine for its version: connection refused", Hint: "see whether the container engine runs and can be reached"}

// hung is an engine that answers nothing, and does not notice that nobody waits.
type hung struct {
	activities.Provider
	ended <-chan struct{}
}

func (h hung) Version(context.Context) (string, error) { <-h.ended; return "too late", nil }

func (h hung) Scopes(context.Context) ([]schemas.Scope, error) { <-h.ended; return nil, nil }

func TestProvidersSayHowTheyAre(t *testing.T) {
	d := openDesk(t, activities.Providers{"prod-eu": &engine{}, "docker": &engine{}, "away": &engine{err: refused}})
	answer, err := ask[schemas.ProvidersAnswer](d, schemas.QueryProviders, "")
	require.NoError(t, err)
	require.Equal(t, []schemas.ProviderStatus{
		{Name: "away", Kind: schemas.ProviderDocker, Error: &schemas.Failure{Kind: "Unavailable", Message: refused.Message, Hint: refused.Hint}},
		{Name: "docker", Kind: schemas.ProviderDocker, Version: "Engine 1"},
		{Name: "prod-eu", Kind: schemas.ProviderDocker, Version: "Engine 1"},
	}, answer.Providers)
	_, err = ask[any](d, schemas.QueryProviders, "{")
	require.EqualError(t, err, "400 the question is not valid JSON: unexpected end of JSON input")
}

func TestNamesOfProvidersAreToldWithoutAskingThem(t *testing.T) {
	d := openDesk(t, activities.Providers{"prod-eu": nil, "docker": nil})
	answer, err := ask[schemas.ProvidersAnswer](d, schemas.QueryProviders, schemas.ProvidersRequest{Names: true})
	require.NoError(t, err)
	require.Equal(t, []schemas.ProviderStatus{{Name: "docker", Kind: schemas.ProviderDocker}, {Name: "prod-eu", Kind: schemas.ProviderDocker}}, answer.Providers)
}

func TestAProviderThatHangsDelaysNoAnswerForLong(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{}, "dead": hung{ended: t.Context().Done()}, "deaf": hung{ended: t.Context().Done()}})
	began := time.Now()
	answer, err := ask[schemas.ProvidersAnswer](d, schemas.QueryProviders, "")
	require.NoError(t, err)
	require.Less(t, time.Since(began), queryTimeout, "asked one after the other, they would take longer still")
	require.Equal(t, &schemas.Failure{
		Kind: "Unavailable", Message: "it did not answer in time", Hint: "see whether it runs and can be reached from where the worker runs",
	}, answer.Providers[0].Error)
	require.Equal(t, answer.Providers[0].Error, answer.Providers[1].Error)
	require.Equal(t, "Engine 1", answer.Providers[2].Version)
}

func TestVersionTellsWhatTheWorkerReaches(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{}, "away": &engine{err: errors.New("connection refused")}, "far": &engine{err: refused}})
	answer, err := ask[schemas.VersionAnswer](d, schemas.QueryVersion, "")
	require.NoError(t, err)
	require.Equal(t, schemas.VersionAnswer{Version: schemas.Version(), Providers: map[string]string{
		"docker": "Engine 1", "away": "unavailable: connection refused",
		"far": "unavailable: ask the engine for its version: connection refused; see whether the container engine runs and can be reached",
	}}, answer)
}

func TestScopesAreThoseThatProvidersHold(t *testing.T) {
	scope := func(name string) schemas.Scope { return schemas.Scope{Environment: "staging", Infrastructure: name} }
	e := &engine{}
	for _, name := range []string{"users", "orders", "users"} {
		e.observed = append(e.observed, plan.Observed{Target: plan.Target{Scope: scope(name)}})
	}
	other := &engine{observed: []plan.Observed{{Target: plan.Target{Scope: scope("billing")}}, {Target: plan.Target{Scope: scope("orders")}}}}
	d := openDesk(t, activities.Providers{"docker": e, "edge-1": other, "away": &engine{err: refused}})
	answer, err := ask[schemas.ScopesAnswer](d, schemas.QueryScopes, struct{}{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Scope{scope("billing"), scope("orders"), scope("users")}, answer.Scopes)
	require.Len(t, answer.Unreachable, 1)
	require.Equal(t, "away", answer.Unreachable[0].Name)
}

func TestALiveStatusAsksThoseThatHoldSomething(t *testing.T) {
	running := func(resource, provider string) *engine {
		return &engine{observed: []plan.Observed{{
			Target:   plan.Target{Scope: users, Resource: resource, Provider: provider},
			Replicas: []plan.Replica{{Name: "staging.users." + resource, State: plan.ContainerRunning}},
		}}}
	}
	away := &engine{err: refused}
	// What "deployed" tells lies at the provider docker.
	for name, test := range map[string]struct {
		providers   activities.Providers
		replicas    int
		unreachable []string
	}{
		"one that holds nothing is not asked":             {activities.Providers{"docker": running("web", "docker"), "edge-1": away}, 1, nil},
		"one that holds something and is away is told of": {activities.Providers{"docker": away, "edge-1": running("web", "edge-1")}, 0, []string{"docker"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDesk(t, test.providers)
			d.deployed(users, false)
			answer, err := ask[schemas.StatusAnswer](d, schemas.QueryStatus, schemas.StatusRequest{Scope: users, Live: true})
			require.NoError(t, err)
			require.Len(t, answer.Replicas, test.replicas)
			var names []string
			for _, p := range answer.Unreachable {
				names = append(names, p.Name)
				require.Equal(t, refused.Message, p.Error.Message)
			}
			require.Equal(t, test.unreachable, names)
			require.Len(t, answer.Resources, 2, "what is recorded is told all the same")
		})
	}
}

func TestContainersOfAnEngineThatIsAwayAreListedAllTheSame(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{err: refused}, "edge-1": &engine{err: refused}})
	d.moved("staging", "cache", schemas.StatusContainerHealthy, "")
	d.moved("production", "cache", schemas.StatusContainerHealthy, "")
	answer, err := ask[schemas.ContainersAnswer](d, schemas.QueryContainers, schemas.ContainersRequest{Live: true})
	require.NoError(t, err)
	require.Len(t, answer.Containers, 2)
	require.Len(t, answer.Unreachable, 1, "once, and only where a container is")
	require.Equal(t, "docker", answer.Unreachable[0].Name)
}
