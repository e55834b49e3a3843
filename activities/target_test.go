package activities

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

func TestOnlyTheTargetsAreDeployedWithWhatTheyNeed(t *testing.T) {
	b := newBench(t, "")
	b.provider.observed = []plan.Observed{{Target: plan.Target{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"}, State: plan.StateReady}}
	e, err := events.NewCommand(schemas.CommandDeploymentRequested, schemas.DeploymentRequested{Document: quoted(t, document), Targets: []string{"db"}})
	require.NoError(t, err)
	body, err := json.Marshal(e)
	require.NoError(t, err)
	stored, err := b.Revisions.Put(t.Context(), events.Revision{Event: body, Infrastructure: parsed(t, document)})
	require.NoError(t, err)
	run := func(rollback bool) PlanOutput {
		value, err := b.run(NamePlan, PlanInput{Scope: users, Revision: Revision{Number: 3, Reference: stored}, Rollback: rollback})
		require.NoError(t, err)
		var out PlanOutput
		require.NoError(t, value.Get(&out))
		return out
	}
	out := run(false)
	require.True(t, out.Partial)
	require.Equal(t, "2 to create, 2 unchanged", out.Summary)
	require.Len(t, out.Pulls, 1, "nothing is pulled for what is left out")
	whole := run(true)
	require.False(t, whole.Partial, "the way back is whole")
	require.Equal(t, "3 to create, 1 to delete", whole.Summary)
}
