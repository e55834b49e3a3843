package activities

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

// guarded is the document of the tests with a protected database.
var guarded = strings.Replace(document, "type: Database", "type: Database\n      protect: true", 1)

func (b *bench) unprotect(resources ...string) error {
	b.t.Helper()
	e, err := events.NewCommand(schemas.CommandUnprotectRequested, schemas.UnprotectRequested{Scope: users, Resources: resources, Reason: "moved"})
	require.NoError(b.t, err)
	body, err := json.Marshal(e)
	require.NoError(b.t, err)
	stored, err := b.Revisions.Put(b.t.Context(), events.Revision{Event: body})
	require.NoError(b.t, err)
	_, err = b.run(NameUnprotect, UnprotectInput{Command: schemas.CommandReference{Scope: users, ID: e.ID(), Revision: stored}})
	return err
}

func TestProtectionOutlivesTheDocument(t *testing.T) {
	b := newBench(t, "")
	db := plan.Observed{Target: plan.Target{Scope: users, Resource: "db", Type: schemas.TypeDatabase, Provider: "docker"}, SpecHash: "x", State: plan.StateReady}
	destroy := func(rollback bool) error {
		_, err := b.run(NamePlan, PlanInput{Scope: users, Revision: Revision{Number: 4}, Rollback: rollback})
		return err
	}
	_, err := b.run(NamePlan, PlanInput{Scope: users, Revision: b.revision(guarded)})
	require.NoError(t, err)
	b.provider.observed = []plan.Observed{db}

	failure := FailureOf(destroy(false))
	require.Equal(t, schemas.Failure{
		Kind: string(Protected), Resource: "db", Field: "spec.resources",
		Message: "db is no longer declared, but is protected; nothing was changed",
		Hint:    "leave it as it is, or lift the protection with: windlass unprotect staging/users db",
	}, failure)
	preview, err := b.Planner.Preview(t.Context(), users, nil)
	require.NoError(t, err)
	require.Equal(t, "1 retained", preview.String())
	require.NoError(t, destroy(true), "the way back leaves it, and is not refused")

	require.NoError(t, b.unprotect("db"))
	require.NoError(t, b.unprotect("db"), "a second attempt of the same")
	require.NoError(t, destroy(false))

	b.provider.observed[0].Protected = true
	require.NoError(t, destroy(false), "the record goes before the label")
}

func TestTheLabelProtectsWhereTheRecordIsLost(t *testing.T) {
	b := newBench(t, "")
	b.provider.observed = []plan.Observed{
		{Target: plan.Target{Scope: users, Resource: "db", Type: schemas.TypeDatabase, Provider: "docker"}, Protected: true, SpecHash: "x", State: plan.StateReady},
		{Target: plan.Target{Scope: users, Resource: "web", Type: schemas.TypeCompute, Provider: "docker"}, SpecHash: "x", State: plan.StateReady},
	}
	_, err := b.run(NamePlan, PlanInput{Scope: users})
	require.Equal(t, string(Protected), FailureOf(err).Kind)
	require.Equal(t, `"web" is no protected resource of staging/users`, FailureOf(b.unprotect("db", "web")).Message)
	_, err = b.run(NamePlan, PlanInput{Scope: users})
	require.Equal(t, string(Protected), FailureOf(err).Kind, "a command that fails lifts nothing")
	require.NoError(t, b.unprotect("db"))
	_, err = b.run(NamePlan, PlanInput{Scope: users})
	require.NoError(t, err)
}

func TestARefusedPlanProtectsNothing(t *testing.T) {
	b := newBench(t, "")
	_, err := b.run(NamePlan, PlanInput{Scope: users, Revision: b.planned(guarded, &schemas.PlanReference{Revision: 1})})
	require.Error(t, err)
	recorded, err := b.Planner.Protections.Of(t.Context(), users)
	require.NoError(t, err)
	require.Empty(t, recorded)
}
