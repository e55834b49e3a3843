package worker

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const previewed = `
apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network, properties: {internal: true}}
    - {name: data, type: Storage}
`

func TestAPlanSaysWhatWouldChangeAndChangesNothing(t *testing.T) {
	target := func(name string, kind schemas.ResourceType) plan.Target {
		return plan.Target{Scope: users, Resource: name, Type: kind, Provider: "docker"}
	}
	e := &engine{observed: []plan.Observed{
		{Target: target("backend", schemas.TypeNetwork), Revision: 1, SpecHash: "other", State: plan.StateReady, Properties: json.RawMessage(`{"internal":false}`)},
		{Target: target("old", schemas.TypeNetwork), Revision: 1, State: plan.StateReady},
	}}
	d := openDesk(t, activities.Providers{"docker": e})
	d.deployed(users, false)
	answer, err := ask[schemas.PlanAnswer](d, schemas.QueryPlan, schemas.PlanRequest{Document: previewed})
	require.NoError(t, err)
	require.Equal(t, users, answer.Scope)
	require.Equal(t, 1, answer.Revision)
	require.Equal(t, "1 to create, 1 to update, 1 to delete", answer.Summary)
	byResource := map[string]schemas.Operation{}
	for _, o := range answer.Operations {
		byResource[o.Resource] = o
	}
	require.Equal(t, []schemas.Change{{Path: "internal", From: false, To: true}}, byResource["backend"].Changes)
	require.Equal(t, schemas.ActionCreate, byResource["data"].Action)
	require.Equal(t, schemas.ActionDelete, byResource["old"].Action)

	answer, err = ask[schemas.PlanAnswer](d, schemas.QueryPlan, schemas.PlanRequest{Scope: users})
	require.NoError(t, err)
	require.Equal(t, "2 to delete", answer.Summary)
}

func TestAPlanOfABadDocumentIsRefused(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{}})
	_, err := ask[schemas.PlanAnswer](d, schemas.QueryPlan, schemas.PlanRequest{Document: "kind: Infrastructure"})
	require.ErrorContains(t, err, "400 ")
	require.ErrorContains(t, err, "apiVersion")
}
