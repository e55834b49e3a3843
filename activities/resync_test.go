package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

func TestRecordsAreMadeAnewFromEventsAndReality(t *testing.T) {
	b := newBench(t, "")
	target := func(name string) plan.Target {
		return plan.Target{Scope: users, Resource: name, Type: schemas.TypeNetwork, Provider: "docker"}
	}
	told := func(eventType, name string, counter int) schemas.Event {
		source := schemas.ResourceSource(users, name)
		return schemas.Event{
			ID: source + eventType, Source: source, Type: eventType, Sequence: schemas.DeploymentSequence(2, counter),
			Resource: &schemas.ResourceStatus{Scope: users, Revision: 2, Resource: name, Type: schemas.TypeNetwork, Provider: "docker", Outputs: schemas.Outputs{"name": name}},
		}
	}
	require.NoError(t, b.Publisher.Publish(t.Context(), []schemas.Event{
		told(schemas.StatusResourceReady, "kept", 1), told(schemas.StatusResourceReady, "gone", 2), told(schemas.StatusResourceReady, "broken", 3),
		{ID: "end", Source: "end", Type: schemas.StatusDeploymentSucceeded, Sequence: schemas.DeploymentSequence(2, 4), Deployment: &schemas.DeploymentStatus{Scope: users, Revision: 2, Final: true}},
	}))
	before, err := b.Records.Resources(t.Context(), users)
	require.NoError(t, err)
	b.provider.observed = []plan.Observed{
		{Target: target("kept"), Revision: 2, State: plan.StateReady},
		{Target: target("broken"), Revision: 2, State: plan.StateDegraded, Reason: "it is paused"},
		{Target: target("unknown"), Revision: 3, State: plan.StateReady, DependsOn: []string{"kept"}, Outputs: schemas.Outputs{"name": "u"}},
	}
	// All records are lost.
	bucket, err := b.JetStream.KeyValue(t.Context(), "WINDLASS_RECORDS")
	require.NoError(t, err)
	keys, err := bucket.Keys(t.Context())
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, bucket.Purge(t.Context(), key))
	}

	for range 2 {
		value, err := b.run(NameResync, ResyncInput{Scope: users, Revision: 2, Stable: 2})
		require.NoError(t, err)
		var out ResyncOutput
		require.NoError(t, value.Get(&out))
		require.Equal(t, 3, out.Revision, "numbers go on from what is found")

		infrastructure, err := b.Records.Infrastructure(t.Context(), users)
		require.NoError(t, err)
		require.Equal(t, schemas.InfrastructureReady, infrastructure.State)
		require.Equal(t, 2, infrastructure.Stable)
		after, err := b.Records.Resources(t.Context(), users)
		require.NoError(t, err)
		require.Len(t, after, 3)
		require.Equal(t, schemas.ResourceDrifted, after[0].State)
		require.Equal(t, "it is paused", after[0].Cause)
		require.Equal(t, before[2], after[1], "what the events tell is as it was")
		require.Equal(t, []string{"kept"}, after[2].DependsOn)
		require.Equal(t, schemas.ResourceReady, after[2].State)
	}
}

func TestWhatNobodyRemembersIsFoundByItsLabels(t *testing.T) {
	b := newBench(t, "")
	_, err := b.run(NameResync, ResyncInput{Scope: users})
	require.NoError(t, err)
	record, err := b.Records.Infrastructure(t.Context(), users)
	require.NoError(t, err)
	require.Equal(t, schemas.InfrastructureDestroyed, record.State, "nothing is there")
}
