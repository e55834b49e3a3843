package worker

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func TestListKnowsWhatWasDeployed(t *testing.T) {
	d := openDesk(t, nil)
	nothing, err := ask[map[string]any](d, schemas.QueryList, schemas.ListRequest{})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"infrastructures": []any{}}, nothing)

	gone := schemas.Scope{Environment: "staging", Infrastructure: "gone"}
	other := schemas.Scope{Environment: "production", Infrastructure: "users"}
	d.deployed(users, false)
	d.deployed(other, false)
	d.deployed(gone, true)
	tests := map[string]struct {
		question any
		want     []schemas.Scope
	}{
		"without a question":         {"", []schemas.Scope{other, users}},
		"everything that is there":   {schemas.ListRequest{}, []schemas.Scope{other, users}},
		"one environment":            {schemas.ListRequest{Environment: "staging"}, []schemas.Scope{users}},
		"what was destroyed as well": {schemas.ListRequest{Destroyed: true}, []schemas.Scope{other, gone, users}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer, err := ask[schemas.ListAnswer](d, schemas.QueryList, test.question)
			require.NoError(t, err)
			var scopes []schemas.Scope
			for _, r := range answer.Infrastructures {
				scopes = append(scopes, r.Scope)
			}
			require.Equal(t, test.want, scopes)
		})
	}
}

func TestStatusKnowsTheResources(t *testing.T) {
	d := openDesk(t, nil)
	d.deployed(users, false)
	answer, err := ask[schemas.StatusAnswer](d, schemas.QueryStatus, schemas.StatusRequest{Scope: users})
	require.NoError(t, err)
	require.Equal(t, schemas.InfrastructureReady, answer.Infrastructure.State)
	require.Equal(t, 1, answer.Infrastructure.Stable)
	require.Len(t, answer.Resources, 2)
	require.Equal(t, "backend", answer.Resources[0].Resource)
	require.Equal(t, schemas.ResourceReady, answer.Resources[0].State)
	require.Nil(t, answer.Replicas)
}

func TestStatusMeasuresWhatRuns(t *testing.T) {
	code := 137
	started := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	e := &engine{
		observed: []plan.Observed{
			{Target: plan.Target{Scope: users, Resource: "web"}, Replicas: []plan.Replica{
				{Name: "users-web-1", Image: "users:2", State: plan.ContainerRunning, Health: plan.HealthHealthy, StartedAt: started},
				{Name: "users-web-0", Image: "users:1", State: plan.ContainerExited, Health: plan.HealthNone, ExitCode: &code, Restarts: 4},
			}},
			{Target: plan.Target{Scope: users, Resource: "backend"}},
		},
		metrics: []activities.Metrics{{Replica: "users-web-1", CPU: 0.25, MemoryBytes: 1 << 20, MemoryLimitBytes: 1 << 26, NetworkInBytes: 7, NetworkOutBytes: 8}},
	}
	d := openDesk(t, activities.Providers{"docker": e})
	d.deployed(users, false)
	answer, err := ask[schemas.StatusAnswer](d, schemas.QueryStatus, schemas.StatusRequest{Scope: users, Live: true})
	require.NoError(t, err)
	require.Equal(t, []schemas.ReplicaStatus{
		{Resource: "web", Name: "users-web-0", Image: "users:1", State: "Exited", Health: "None", ExitCode: &code, Restarts: 4},
		{Resource: "web", Name: "users-web-1", Image: "users:2", State: "Running", Health: "Healthy", StartedAt: started, CPU: 0.25, MemoryBytes: 1 << 20, MemoryLimitBytes: 1 << 26, NetworkInBytes: 7, NetworkOutBytes: 8},
	}, answer.Replicas)
}

func TestAQuestionThatCannotBeAnsweredSaysWhy(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{err: errors.New("the engine does not answer")}})
	d.deployed(users, false)
	tests := map[string]struct {
		subject  string
		question any
		want     string
	}{
		"a question that is no JSON":          {schemas.QueryStatus, "{", "400 the question is not valid JSON: unexpected end of JSON input"},
		"a list that is no JSON":              {schemas.QueryList, "[]", "400 the question is not valid JSON: json: cannot unmarshal array into Go value of type schemas.ListRequest"},
		"an infrastructure that nobody knows": {schemas.QueryStatus, schemas.StatusRequest{Scope: schemas.Scope{Environment: "staging", Infrastructure: "nobody"}}, "404 no infrastructure staging/nobody is known"},
		"a plan of an engine that is away":    {schemas.QueryPlan, schemas.PlanRequest{Scope: users}, "503 the engine does not answer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ask[any](d, test.subject, test.question)
			require.EqualError(t, err, test.want)
		})
	}
}
