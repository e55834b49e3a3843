package activities

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

func TestAPlanCarriesTheSkeletonAndNoDocument(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document)
	desired, err := Declare(parsed(t, document), revision.Number, b.Planner.Providers)
	require.NoError(t, err)
	b.provider.observed = []plan.Observed{
		{Target: desired[0].Target, Revision: 1, SpecHash: desired[0].SpecHash, State: plan.StateReady},
		{Target: plan.Target{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"}, Revision: 1, SpecHash: "x", State: plan.StateReady},
		{Target: plan.Target{Scope: schemas.Scope{Environment: "production", Infrastructure: "users"}, Resource: "theirs", Type: schemas.TypeStorage, Provider: "docker"}, State: plan.StateReady},
	}
	value, err := b.run(NamePlan, PlanInput{Scope: users, Revision: revision})
	require.NoError(t, err)
	var out PlanOutput
	require.NoError(t, value.Get(&out))
	var ids []string
	for _, o := range out.Operations {
		ids = append(ids, o.ID)
	}
	require.Equal(t, []string{"none backend", "create db", "create web", "delete old (Storage, docker)"}, ids)
	require.Equal(t, "2 to create, 1 to delete, 1 unchanged", out.Summary)
	require.Equal(t, schemas.OnFailureRollback, out.OnFailure)
	require.Equal(t, map[string][]string{"backend": nil, "db": {"backend"}, "web": {"backend", "db"}}, out.Resources)
	require.Equal(t, []PullInput{
		{Scope: users, Revision: revision, Resource: "db", Image: "postgres:17"},
		{Scope: users, Revision: revision, Resource: "web", Image: "windlass.local/users:1"},
	}, out.Pulls)
}

func TestAnImageIsPulledOnceForAllWhoRunIt(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document + "    - {name: second, type: Compute, properties: {image: \"windlass.local/users:1\"}}\n")
	value, err := b.run(NamePlan, PlanInput{Scope: users, Revision: revision})
	require.NoError(t, err)
	var out PlanOutput
	require.NoError(t, value.Get(&out))
	require.Len(t, out.Pulls, 2)
}

func TestThePlanOfNothingDeletesEverything(t *testing.T) {
	b := newBench(t, "")
	b.provider.observed = []plan.Observed{{Target: plan.Target{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"}}}
	value, err := b.run(NamePlan, PlanInput{Scope: users})
	require.NoError(t, err)
	var out PlanOutput
	require.NoError(t, value.Get(&out))
	require.Equal(t, "1 to delete", out.Summary)
	require.Equal(t, schemas.OnFailureKeep, out.OnFailure)
	require.Empty(t, out.Resources)
}

func TestApplyGivesTheProviderWhatIsDeclared(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document)
	value, err := b.run(NameApply, ApplyInput{Scope: users, Revision: revision, Resource: "db"})
	require.NoError(t, err)
	var out ApplyOutput
	require.NoError(t, value.Get(&out))
	require.Equal(t, "postgres://db:${generated.db.password}@users-db:5432/db", out.Outputs["url"], "a secret leaves the activity")
	desired, err := Declare(parsed(t, document), revision.Number, b.Planner.Providers)
	require.NoError(t, err)
	require.Equal(t, []plan.Desired{desired[1]}, b.provider.applied)
}

func TestPullGivesTheProviderTheImageOfTheResource(t *testing.T) {
	b := newBench(t, "")
	_, err := b.run(NamePull, PullInput{Scope: users, Revision: b.revision(document), Resource: "web", Image: "windlass.local/users:1"})
	require.NoError(t, err)
	require.Equal(t, []Image{{Reference: "windlass.local/users:1", Field: "properties.image"}}, b.provider.pulled)
}

func TestDeleteNamesTheTarget(t *testing.T) {
	b := newBench(t, "")
	_, err := b.run(NameDelete, DeleteInput{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"})
	require.NoError(t, err)
	require.Equal(t, []plan.Target{{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "docker"}}, b.provider.deleted)
}

func TestActivitiesSayWhatIsMissing(t *testing.T) {
	b := newBench(t, "")
	b.provider.observe = func(context.Context) error { return errors.New("connection refused") }
	revision := b.revision(document)
	gone := Revision{Number: 3, Reference: "0000000000000000000000000000000000000000000000000000000000000000"}
	tests := map[string]struct {
		activity string
		in       any
		want     schemas.Failure
	}{
		"a revision that is gone": {NamePlan, PlanInput{Scope: users, Revision: gone},
			schemas.Failure{Kind: "NotFound", Message: "read revision 000000000000: the revision is not in the bucket WINDLASS_REVISIONS", Hint: "publish the deployment again"}},
		"an engine that is away":           {NamePlan, PlanInput{Scope: users, Revision: revision}, schemas.Failure{Kind: "Internal", Message: "connection refused"}},
		"a resource that is not declared":  {NameApply, ApplyInput{Scope: users, Revision: revision, Resource: "nobody"}, schemas.Failure{Kind: "NotFound", Resource: "nobody", Message: "is not declared in revision 3"}},
		"an image that nobody runs":        {NamePull, PullInput{Scope: users, Revision: revision, Resource: "web", Image: "other"}, schemas.Failure{Kind: "NotFound", Resource: "web", Message: "does not run image other"}},
		"a provider that the worker lacks": {NameDelete, DeleteInput{Scope: users, Resource: "old", Type: schemas.TypeStorage, Provider: "moon"}, schemas.Failure{Kind: "Invalid", Resource: "old", Field: "provider", Message: `the worker has no provider "moon"; it has docker`, Hint: "use one that `windlass providers` lists, or add it to the workers' file of providers"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			failure, err := b.failure(test.activity, test.in)
			require.Equal(t, test.want, failure)
			var application *temporal.ApplicationError
			require.ErrorAs(t, err, &application)
			require.Equal(t, test.want.Kind != "Internal", application.NonRetryable())
		})
	}
}

func TestPublishAndRejectRepeatNothing(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document)
	command := schemas.CommandReference{Scope: users, Type: schemas.CommandDeploymentRequested, Key: "key", Sequence: 1, Revision: revision.Reference}
	event := schemas.Event{
		ID: "one", Source: "/windlass/staging/users/deployments/1", Type: schemas.StatusDeploymentStarted, Sequence: schemas.DeploymentSequence(1, 1),
		Deployment: &schemas.DeploymentStatus{Scope: users, Revision: 1},
	}
	for range 3 {
		_, err := b.run(NamePublish, PublishInput{Events: []schemas.Event{event}})
		require.NoError(t, err)
		_, err = b.run(NameReject, RejectInput{Command: command, Faults: schemas.Faults{{Field: "spec", Reason: "is bad"}}})
		require.NoError(t, err)
	}
	for _, name := range []string{events.StatusStream, events.DeadLetterStream} {
		stream, err := b.js.Stream(background(t), name)
		require.NoError(t, err)
		require.Equal(t, uint64(1), stream.CachedInfo().State.Msgs, name)
	}
}

func TestLabelsSayWhomAnObjectBelongsTo(t *testing.T) {
	d := plan.Desired{Target: plan.Target{Scope: users, Resource: "web", Type: schemas.TypeCompute, Provider: "docker"}, Revision: 7, SpecHash: "abc", DependsOn: []string{"backend", "db"}, Properties: json.RawMessage(`{"image":"users:1"}`)}
	require.Equal(t, map[string]string{
		"io.windlass.environment": "staging", "io.windlass.infrastructure": "users", "io.windlass.resource": "web", "io.windlass.type": "Compute",
		"io.windlass.provider": "docker", "io.windlass.revision": "7", "io.windlass.spec": "abc", "io.windlass.dependson": "backend,db",
		"io.windlass.properties": `{"image":"users:1"}`,
	}, DeclarationLabels(d))
}

func TestAPlanThatAProviderCannotCarryOutIsRefused(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document)
	desired, err := Declare(parsed(t, document), revision.Number, b.Planner.Providers)
	require.NoError(t, err)
	there := plan.Observed{Target: desired[1].Target, Revision: 1, SpecHash: "former", Properties: json.RawMessage(`{"version": "15"}`), State: plan.StateReady}
	elsewhere := there
	elsewhere.Type = schemas.TypeStorage
	b.provider.observed = []plan.Observed{there, elsewhere}
	var asked []plan.Observed
	b.provider.permit = func(d plan.Desired, o plan.Observed) error {
		asked = append(asked, o)
		require.Equal(t, desired[1].SpecHash, d.SpecHash)
		return &Fault{Kind: Invalid, Field: "properties.version", Message: "cannot be", Hint: "leave it"}
	}
	for _, rollback := range []bool{false, true} {
		failure, err := b.failure(NamePlan, PlanInput{Scope: users, Revision: revision, Rollback: rollback})
		require.Equal(t, schemas.Failure{Kind: "Invalid", Resource: "db", Field: "spec.resources[1].properties.version", Line: 10, Message: "cannot be", Hint: "leave it"}, failure)
		var application *temporal.ApplicationError
		require.ErrorAs(t, err, &application)
		require.True(t, application.NonRetryable())
	}
	_, err = b.Planner.Preview(background(t), users, parsed(t, document))
	require.EqualError(t, err, "db: properties.version: cannot be; leave it")
	require.Equal(t, []plan.Observed{there, there, there}, asked, "only what is declared and there is asked for")
	_, err = b.Planner.Preview(background(t), users, nil)
	require.NoError(t, err, "what is not declared is only removed")
}
