package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

func TestOnlyThePlanThatWasSeenIsRun(t *testing.T) {
	b := newBench(t, "")
	preview, err := b.Planner.Preview(t.Context(), users, parsed(t, document))
	require.NoError(t, err)
	seen, err := preview.Fingerprint()
	require.NoError(t, err)
	run := func(reference schemas.PlanReference, rollback bool) error {
		_, err := b.run(NamePlan, PlanInput{Scope: users, Revision: b.planned(document, &reference), Rollback: rollback})
		return err
	}

	require.NoError(t, run(schemas.PlanReference{Revision: 2, Fingerprint: seen}, false))
	err = run(schemas.PlanReference{Revision: 1, Fingerprint: seen}, false)
	require.Equal(t, "data.plan", FailureOf(err).Field)
	require.Contains(t, FailureOf(err).Message, "the plan is stale: it was made at revision 1, and now is revision 2")

	b.provider.observed = []plan.Observed{{Target: plan.Target{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"}}}
	err = run(schemas.PlanReference{Revision: 2, Fingerprint: seen}, false)
	require.Contains(t, FailureOf(err).Message, "the plan is stale: what runs has changed")
	require.Equal(t, string(Invalid), FailureOf(err).Kind)

	require.NoError(t, run(schemas.PlanReference{Revision: 2, Fingerprint: seen}, true), "a rollback runs a plan of its own")
}
