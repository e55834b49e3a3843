package events

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestRecordsFollowTheEvents(t *testing.T) {
	failure := &schemas.Failure{Kind: "Unhealthy", Message: "never became healthy"}
	two := 2
	tests := map[string]struct {
		events []schemas.Event
		want   schemas.InfrastructureRecord
	}{
		"while it deploys": {story()[:3], schemas.InfrastructureRecord{State: schemas.InfrastructureDeploying, Revision: 1}},
		"when it is ready": {story(), schemas.InfrastructureRecord{State: schemas.InfrastructureReady, Revision: 1, Stable: 1}},
		"when the next revision fails": {
			append(story(), deploymentEvent(schemas.StatusDeploymentStarted, 1, schemas.DeploymentStatus{Revision: 2}), deploymentEvent(schemas.StatusDeploymentFailed, 2, schemas.DeploymentStatus{Revision: 2, Error: failure, Final: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureFailed, Revision: 2, Stable: 1, Error: failure},
		},
		"while it is rolled back": {
			append(story(), deploymentEvent(schemas.StatusDeploymentFailed, 2, schemas.DeploymentStatus{Revision: 2, Error: failure, RollbackTo: &two})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureRollingBack, Revision: 2, Stable: 1, Error: failure},
		},
		"when it was rolled back": {
			append(story(), deploymentEvent(schemas.StatusDeploymentRolledBack, 3, schemas.DeploymentStatus{Revision: 2, Error: failure, Final: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureRolledBack, Revision: 2, Stable: 1, Error: failure},
		},
		"when it was cancelled": {
			append(story(), deploymentEvent(schemas.StatusDeploymentCancelled, 3, schemas.DeploymentStatus{Revision: 2, Error: failure, Final: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureCancelled, Revision: 2, Stable: 1, Error: failure},
		},
		"while it is destroyed": {
			append(story(), deploymentEvent(schemas.StatusDeploymentStarted, 1, schemas.DeploymentStatus{Revision: 2, Destroy: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureDestroying, Revision: 2, Stable: 1},
		},
		"when it was destroyed": {
			append(story(), deploymentEvent(schemas.StatusDeploymentSucceeded, 2, schemas.DeploymentStatus{Revision: 2, Destroy: true, Final: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureDestroyed, Revision: 2},
		},
		"when a new deployment clears an old failure": {
			append(story(), deploymentEvent(schemas.StatusDeploymentFailed, 2, schemas.DeploymentStatus{Revision: 2, Error: failure, Final: true}), deploymentEvent(schemas.StatusDeploymentSucceeded, 2, schemas.DeploymentStatus{Revision: 3, Final: true})),
			schemas.InfrastructureRecord{State: schemas.InfrastructureReady, Revision: 3, Stable: 3},
		},
	}
	b := startBus(t, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// A record that somebody deleted is made again.
			require.NoError(t, b.records.bucket.Purge(b.context(), "staging.users"))
			last := test.events[len(test.events)-1]
			for _, e := range slices.Backward(test.events) {
				if e.Deployment != nil {
					last = e
					break
				}
			}
			test.want.Scope, test.want.Deployment, test.want.Since, test.want.Sequence = scopeNamed("users"), last.CorrelationID, last.Time, last.Sequence
			for _, e := range test.events {
				require.NoError(t, b.records.Apply(b.context(), e))
			}
			record, err := b.records.Infrastructure(b.context(), scopeNamed("users"))
			require.NoError(t, err)
			require.Equal(t, &test.want, record)

			for _, older := range test.events {
				require.NoError(t, b.records.Apply(b.context(), older))
			}
			again, err := b.records.Infrastructure(b.context(), scopeNamed("users"))
			require.NoError(t, err)
			require.Equal(t, record, again, "older events change the record")
		})
	}
}

func TestRecordsOfResources(t *testing.T) {
	b := startBus(t, nil)
	failure := &schemas.Failure{Kind: "Conflict", Message: "port 80 is taken"}
	for _, e := range []schemas.Event{
		resourceEvent(schemas.StatusResourceReady, "cache", 1, schemas.ResourceStatus{Outputs: schemas.Outputs{"name": "users-cache"}}),
		resourceEvent(schemas.StatusResourceUpdating, "cache", 3, schemas.ResourceStatus{Cause: "its declaration differs"}),
		resourceEvent(schemas.StatusResourceFailed, "backend", 4, schemas.ResourceStatus{Error: failure}),
		resourceEvent(schemas.StatusResourceCreating, "backend", 2, schemas.ResourceStatus{Cause: "too old to count"}),
		resourceEvent(schemas.StatusResourceReady, "gone", 5, schemas.ResourceStatus{}),
		resourceEvent(schemas.StatusResourceDeleted, "gone", 6, schemas.ResourceStatus{}),
	} {
		require.NoError(t, b.records.Apply(b.context(), e))
	}
	records, err := b.records.Resources(b.context(), scopeNamed("users"))
	require.NoError(t, err)
	want := func(resource string, counter int, state schemas.ResourceState) schemas.ResourceRecord {
		return schemas.ResourceRecord{
			Scope: scopeNamed("users"), Resource: resource, Type: schemas.TypeNetwork, Provider: "docker", State: state, Revision: 1,
			Since: noon.Add(time.Duration(counter) * time.Second), Sequence: schemas.DeploymentSequence(1, counter),
		}
	}
	backend, cache := want("backend", 4, schemas.ResourceFailed), want("cache", 3, schemas.ResourceUpdating)
	backend.Error = failure
	cache.Cause, cache.Outputs = "its declaration differs", schemas.Outputs{"name": "users-cache"}
	require.Equal(t, []schemas.ResourceRecord{backend, cache}, records)

	others, err := b.records.Resources(b.context(), scopeNamed("user"))
	require.NoError(t, err)
	require.Empty(t, others)
	unknown, err := b.records.Infrastructure(b.context(), scopeNamed("nobody"))
	require.NoError(t, err)
	require.Nil(t, unknown)
}

func TestInfrastructuresAreListedByName(t *testing.T) {
	b := startBus(t, nil)
	for _, scope := range []schemas.Scope{{Environment: "staging", Infrastructure: "users"}, {Environment: "production", Infrastructure: "users"}, {Environment: "production", Infrastructure: "orders"}} {
		e := deploymentEvent(schemas.StatusDeploymentSucceeded, 1, schemas.DeploymentStatus{Final: true})
		e.Deployment.Scope = scope
		require.NoError(t, b.records.Apply(b.context(), e))
	}
	require.NoError(t, b.records.Apply(b.context(), resourceEvent(schemas.StatusResourceReady, "backend", 1, schemas.ResourceStatus{})))
	all, err := b.records.Infrastructures(b.context())
	require.NoError(t, err)
	var names []string
	for _, r := range all {
		names = append(names, r.String())
	}
	require.Equal(t, []string{"production/orders", "production/users", "staging/users"}, names)
}

// Two workers may publish for one Infrastructure at a time.
func TestRecordsSettleOnTheNewestEventWhoeverWritesFirst(t *testing.T) {
	b := startBus(t, nil)
	const writers = 8
	errs := make(chan error)
	for writer := range writers {
		go func() {
			var err error
			for counter := writer + 1; counter <= 5*writers && err == nil; counter += writers {
				err = b.records.Apply(t.Context(), resourceEvent(schemas.StatusResourceReady, "backend", counter, schemas.ResourceStatus{}))
			}
			errs <- err
		}()
	}
	for range writers {
		require.NoError(t, <-errs)
	}
	records, err := b.records.Resources(b.context(), scopeNamed("users"))
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Equal(t, schemas.DeploymentSequence(1, 5*writers), records[0].Sequence)
}

func TestWhatTookANameIsNotTakenForWhatHadIt(t *testing.T) {
	b := startBus(t, nil)
	former := func(eventType string, counter int) schemas.Event {
		e := resourceEvent(eventType, "data", counter, schemas.ResourceStatus{})
		e.Resource.Type = schemas.TypeStorage
		return e
	}
	apply := func(e schemas.Event) schemas.ResourceRecord {
		t.Helper()
		require.NoError(t, b.records.Apply(b.context(), e))
		all, err := b.records.Resources(b.context(), scopeNamed("users"))
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	apply(former(schemas.StatusResourceReady, 1))
	apply(resourceEvent(schemas.StatusResourceCreating, "data", 2, schemas.ResourceStatus{}))
	apply(resourceEvent(schemas.StatusResourceReady, "data", 3, schemas.ResourceStatus{}))
	apply(former(schemas.StatusResourceDeleting, 4))
	now := apply(former(schemas.StatusResourceDeleted, 5))
	require.Equal(t, schemas.TypeNetwork, now.Type)
	require.Equal(t, schemas.ResourceReady, now.State)
}

func TestWhatWasGoneBeforeADeploymentIsForgotten(t *testing.T) {
	b := startBus(t, nil)
	apply := func(e schemas.Event) { require.NoError(t, b.records.Apply(b.context(), e)) }
	for _, e := range story() {
		apply(e)
	}
	drifted := resourceEvent(schemas.StatusResourceDrifted, "backend", 50_000_001, schemas.ResourceStatus{Cause: "is declared and not there"})
	apply(drifted)
	record := func() []schemas.ResourceRecord {
		all, err := b.records.Resources(b.context(), scopeNamed("users"))
		require.NoError(t, err)
		return all
	}
	require.Equal(t, schemas.ResourceDrifted, record()[0].State)
	for _, e := range story() {
		apply(e) // copies of what is older change nothing
	}
	require.Len(t, record(), 1)
	apply(deploymentEvent(schemas.StatusDeploymentSucceeded, 1, schemas.DeploymentStatus{Revision: 2, Partial: true, Final: true}))
	require.Len(t, record(), 1, "a deployment of a part says nothing of the rest")
	destroyed := deploymentEvent(schemas.StatusDeploymentSucceeded, 1, schemas.DeploymentStatus{Revision: 3, Destroy: true, Final: true})
	apply(destroyed)
	require.Empty(t, record())
}

func TestRecordsOfRollouts(t *testing.T) {
	b := startBus(t, nil)
	scope := scopeNamed("users")
	told := func(eventType string, n int, phase schemas.RolloutPhase) schemas.Event {
		return schemas.Event{
			Type: eventType, Time: noon.Add(time.Duration(n) * time.Second), Sequence: schemas.DeploymentSequence(2, n), CorrelationID: "infrastructure/staging/users/rev-2/web",
			Rollout: &schemas.RolloutStatus{Scope: scope, Revision: 2, Resource: "web", Phase: phase},
		}
	}
	require.NoError(t, b.records.Apply(b.context(), told(schemas.StatusRolloutStarted, 1, schemas.RolloutProgressing), told(schemas.StatusRolloutProgressed, 3, schemas.RolloutWarm)))
	require.NoError(t, b.records.Apply(b.context(), told(schemas.StatusRolloutProgressed, 2, schemas.RolloutProgressing)), "an older one changes nothing")
	all, err := b.records.Rollouts(b.context(), scope)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, schemas.RolloutWarm, all[0].Phase)
	require.Equal(t, noon.Add(time.Second), all[0].Started)
	require.Equal(t, noon.Add(3*time.Second), all[0].Since)
	require.Equal(t, "infrastructure/staging/users/rev-2/web", all[0].Workflow)
	resources, err := b.records.Resources(b.context(), scope)
	require.NoError(t, err)
	require.Empty(t, resources, "a rollout is no resource")
}
