package workflows

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"windlass/activities"
	"windlass/schemas"
)

func TestADeploymentTellsItsStoryInOrder(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("backend"), create("web", "backend"),
		schemas.Operation{ID: "none db", Action: schemas.ActionNone, Resource: "db", Type: schemas.TypeDatabase, Provider: "docker"}, remove("old"))
	require.NoError(t, w.deploy(1))
	told := w.told()
	require.Equal(t, []string{"command.accepted", "deployment.started", "deployment.planned"}, told[:3])
	require.Equal(t, "deployment.succeeded", told[len(told)-1])
	require.ElementsMatch(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "resource.creating backend", "resource.ready backend", "resource.creating web", "resource.ready web",
		"resource.deleting old", "resource.deleted old", "deployment.succeeded",
	}, told)
	w.requireStory(t)

	planned := w.last(t, schemas.StatusDeploymentPlanned).Deployment
	require.Len(t, planned.Operations, 3)
	require.Equal(t, 1, planned.Unchanged)
	ready := w.last(t, schemas.StatusResourceReady)
	require.Equal(t, "/windlass/staging/users/resources/web", ready.Source)
	require.Equal(t, "infrastructure/staging/users/rev-2", ready.CorrelationID)
	require.Equal(t, schemas.Outputs{"name": "users-web"}, ready.Resource.Outputs)
	require.Equal(t, schemas.DeploymentStatus{Scope: users, Revision: 2, Final: true}, *w.last(t, schemas.StatusDeploymentSucceeded).Deployment)
}

// Level by level, d would wait for b, which waits here until d is done.
func TestAnOperationStartsTheMomentItsOwnDependenciesAreDone(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("a"), create("b", "a"), create("c", "a"), create("d", "c"), create("e", "b", "d"))
	w.apply = func(_ context.Context, in activities.ApplyInput) error {
		if in.Resource == "b" {
			w.await(t, func() bool { return w.did("apply d of 2") }, "d waits for b")
		}
		return nil
	}
	require.NoError(t, w.deploy(0))
	require.Equal(t, []string{"plan 2", "apply a of 2", "apply c of 2", "apply d of 2", "apply b of 2", "apply e of 2"}, w.all())
}

func TestEveryImageIsThereBeforeAnythingIsTouched(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("web"))
	plan := w.plans[2]
	plan.Pulls = []activities.PullInput{{Image: "one"}, {Image: "two"}}
	w.plans[2] = plan
	w.pull = func(in activities.PullInput) error {
		if in.Image == "one" {
			w.await(t, func() bool { return w.did("pull two") }, "images are pulled one after the other")
		}
		return nil
	}
	require.NoError(t, w.deploy(0))
	require.Equal(t, []string{"plan 2", "pull two", "pull one", "apply web of 2"}, w.all())
}

func TestAnImageThatDoesNotExistRejectsTheCommand(t *testing.T) {
	w := newWorld(t)
	failure := schemas.Failure{Kind: "NotFound", Resource: "web", Field: "spec.resources[0].properties.image", Line: 9, Message: "does not exist"}
	w.plans[2] = planOf(schemas.OnFailureRollback, create("web"))
	plan := w.plans[2]
	plan.Pulls = []activities.PullInput{{Image: "one", Resource: "web"}}
	w.plans[2] = plan
	w.pull = func(activities.PullInput) error { return failed(failure) }
	requireType(t, w.deploy(1), ErrorFailed)
	require.Equal(t, []string{"command.accepted", "deployment.started", "deployment.planned", "command.rejected", "deployment.failed"}, w.told())
	require.Equal(t, []string{"plan 2"}, w.all(), "something was touched")
	faults := schemas.Faults{{Field: failure.Field, Line: 9, Reason: "does not exist"}}
	require.Equal(t, []activities.RejectInput{{Command: command(1), Faults: faults}}, w.rejected)
	rejected := w.last(t, schemas.StatusCommandRejected)
	require.Equal(t, &schemas.CommandStatus{Scope: users, CommandType: schemas.CommandDeploymentRequested, Revision: 2, Faults: faults}, rejected.Command)
	require.Equal(t, "id-b", rejected.CausationID)
	require.Equal(t, schemas.DeploymentStatus{Scope: users, Revision: 2, Error: &failure, Final: true}, *w.last(t, schemas.StatusDeploymentFailed).Deployment)
	w.requireStory(t)
}

func TestAFailureThatIsNoFaultOfTheDocumentRejectsNothing(t *testing.T) {
	tests := map[string]schemas.Failure{
		"credentials of the worker": {Kind: "Unauthorized", Resource: "web", Message: "refused"},
		"a kind that may pass":      {Kind: "Conflict", Resource: "web", Field: "spec.resources[0].properties.image", Message: "busy"},
	}
	for name, failure := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plans[2] = planOf(schemas.OnFailureRollback, create("web"))
			plan := w.plans[2]
			plan.Pulls = []activities.PullInput{{Image: "one", Resource: "web"}}
			w.plans[2] = plan
			w.pull = func(activities.PullInput) error { return failed(failure) }
			requireType(t, w.deploy(1), ErrorFailed)
			require.Equal(t, []string{"command.accepted", "deployment.started", "deployment.planned", "deployment.failed"}, w.told())
			require.Empty(t, w.rejected)
		})
	}
}

func TestAPlanThatFailsTouchesNothing(t *testing.T) {
	w := newWorld(t)
	requireType(t, w.deploy(1), ErrorFailed)
	require.Equal(t, []string{"command.accepted", "deployment.started", "deployment.failed"}, w.told())
	require.Equal(t, "the revision is gone", w.last(t, schemas.StatusDeploymentFailed).Deployment.Error.Message)
}

// failing has three operations: one that fails while another runs, and one that
// would come later.
func failing(t *testing.T, policy schemas.FailurePolicy) *world {
	w := newWorld(t)
	w.plans[2] = planOf(policy, create("bad"), create("later", "bad"), create("slow"), create("last", "slow"))
	w.apply = func(ctx context.Context, in activities.ApplyInput) error {
		switch {
		case in.Revision.Number == 2 && in.Resource == "bad":
			w.await(t, func() bool { return w.started("slow") }, "slow does not run")
			return fault(activities.Unhealthy, "bad", "never became healthy")
		case in.Revision.Number == 2 && in.Resource == "slow":
			w.note("started slow")
			if policy == schemas.OnFailureRollback {
				return w.interrupted(t, ctx)
			}
			w.await(t, func() bool { return w.has("resource.failed bad") }, "the failure is not told")
		}
		return nil
	}
	return w
}

func (w *world) started(resource string) bool { return w.did("started " + resource) }

func (w *world) has(told string) bool { return slices.Contains(w.told(), told) }

// interrupted runs until it is cancelled.
func (w *world) interrupted(t *testing.T, ctx context.Context) error {
	deadline := time.After(patience / 2)
	beat := time.NewTicker(time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			activity.RecordHeartbeat(ctx)
		case <-deadline:
			t.Error("it is not cancelled")
			return errors.New("it is not cancelled")
		}
	}
}

func TestAFailureIsKeptWhereThePolicySaysSo(t *testing.T) {
	w := failing(t, schemas.OnFailureKeep)
	err := w.deploy(1)
	requireType(t, err, ErrorFailed)
	require.Equal(t, schemas.Failure{Kind: "Unhealthy", Resource: "bad", Message: "never became healthy"}, activities.FailureOf(err))
	require.ElementsMatch(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "resource.creating bad", "resource.creating slow", "resource.failed bad", "resource.ready slow", "deployment.failed",
	}, w.told())
	require.Equal(t, "deployment.failed", w.told()[7])
	require.Equal(t, []string{"plan 2", "started slow", "apply slow of 2"}, w.all(), "an operation starts after a failure")
	status := w.last(t, schemas.StatusDeploymentFailed).Deployment
	require.True(t, status.Final)
	require.Nil(t, status.RollbackTo)
	w.requireStory(t)
}

func TestAFailureIsRolledBackToTheStableRevision(t *testing.T) {
	w := failing(t, schemas.OnFailureRollback)
	w.plans[1] = planOf(schemas.OnFailureRollback, create("good"), remove("bad"), remove("slow"))
	err := w.deploy(1)
	requireType(t, err, ErrorRolledBack)
	require.Equal(t, "never became healthy", activities.FailureOf(err).Message)
	require.ElementsMatch(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "resource.creating bad", "resource.creating slow", "resource.failed bad", "resource.failed slow", "deployment.failed",
		"resource.creating good", "resource.ready good", "resource.deleting bad", "resource.deleted bad", "resource.deleting slow", "resource.deleted slow", "deployment.rolledback",
	}, w.told())
	first := w.last(t, schemas.StatusDeploymentFailed).Deployment
	require.False(t, first.Final)
	require.Equal(t, 1, *first.RollbackTo)
	last := w.last(t, schemas.StatusDeploymentRolledBack).Deployment
	require.True(t, last.Final)
	require.Equal(t, 1, *last.RollbackTo)
	require.Equal(t, "never became healthy", last.Error.Message)
	require.Equal(t, "rollback to revision 1", w.last(t, schemas.StatusResourceDeleting).Resource.Cause)
	require.Equal(t, "Cancelled", w.failureOf(t, "slow").Kind)
	w.requireStory(t)
}

func (w *world) failureOf(t *testing.T, resource string) schemas.Failure {
	t.Helper()
	for _, e := range w.published {
		if e.Type == schemas.StatusResourceFailed && e.Resource.Resource == resource {
			return *e.Resource.Error
		}
	}
	require.Fail(t, "it did not fail")
	return schemas.Failure{}
}

func TestTheFirstRevisionIsRolledBackToNothing(t *testing.T) {
	w := failing(t, schemas.OnFailureRollback)
	w.plans[0] = planOf(schemas.OnFailureKeep, remove("bad"), remove("slow"))
	requireType(t, w.deploy(0), ErrorRolledBack)
	require.Contains(t, w.all(), "delete bad")
	require.Contains(t, w.all(), "delete slow")
	require.Equal(t, 0, *w.last(t, schemas.StatusDeploymentRolledBack).Deployment.RollbackTo)
	require.Equal(t, "rollback of the first revision", w.last(t, schemas.StatusResourceDeleting).Resource.Cause)
}

func TestARollbackThatFailsIsNotRolledBack(t *testing.T) {
	w := failing(t, schemas.OnFailureRollback)
	w.plans[1] = planOf(schemas.OnFailureRollback, create("good"), remove("bad"))
	apply := w.apply
	w.apply = func(ctx context.Context, in activities.ApplyInput) error {
		if in.Resource == "good" {
			// What else the rollback does goes on to its end.
			w.await(t, func() bool { return w.started("removal") }, "the removal does not run")
			return fault(activities.Conflict, "good", "port 80 is taken")
		}
		return apply(ctx, in)
	}
	w.remove = func(activities.DeleteInput) error {
		w.note("started removal")
		w.await(t, func() bool { return w.has("resource.failed good") }, "the failure is not told")
		return nil
	}
	err := w.deploy(1)
	requireType(t, err, ErrorFailed)
	require.Equal(t, "the rollback to revision 1 failed too: port 80 is taken; the deployment had failed with: never became healthy", activities.FailureOf(err).Message)
	require.Contains(t, w.told(), "resource.deleted bad")
	require.Equal(t, "deployment.failed", w.told()[len(w.told())-1])
	require.True(t, w.last(t, schemas.StatusDeploymentFailed).Deployment.Final)
	require.NotContains(t, w.told(), "deployment.rolledback")
	w.requireStory(t)
}

func TestACancellationIsClean(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("first"), create("slow", "first"), create("later", "slow"))
	w.apply = func(ctx context.Context, in activities.ApplyInput) error {
		if in.Resource == "slow" {
			w.CancelWorkflow()
			return w.interrupted(t, ctx)
		}
		return nil
	}
	err := w.deploy(1)
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	require.Equal(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "resource.creating first", "resource.ready first", "resource.creating slow", "resource.failed slow", "deployment.cancelled",
	}, w.told())
	status := w.last(t, schemas.StatusDeploymentCancelled).Deployment
	require.True(t, status.Final)
	require.Equal(t, "Cancelled", status.Error.Kind)
	require.Equal(t, schemas.Failure{Kind: "Cancelled", Message: "was interrupted"}, w.failureOf(t, "slow"))
	require.Equal(t, []string{"plan 2", "apply first of 2"}, w.all(), "a cancelled deployment is not rolled back")
	w.requireStory(t)
}

func TestARollbackIsNotCancelledHalfWay(t *testing.T) {
	w := failing(t, schemas.OnFailureRollback)
	w.plans[1] = planOf(schemas.OnFailureRollback, create("good"), remove("bad", "create good"))
	apply := w.apply
	w.apply = func(ctx context.Context, in activities.ApplyInput) error {
		if in.Resource == "good" {
			w.CancelWorkflow()
			return nil
		}
		return apply(ctx, in)
	}
	requireType(t, w.deploy(1), ErrorRolledBack)
	require.Contains(t, w.all(), "delete bad")
	require.Equal(t, "deployment.rolledback", w.told()[len(w.told())-1])
}

func TestDestroyingSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureKeep, remove("web"), remove("backend", "delete web"))
	require.NoError(t, w.run(DeployInput{Command: command(1), Revision: activities.Revision{Number: 2}, Destroy: true, Stable: activities.Revision{Number: 1, Reference: "document-a"}}))
	require.Equal(t, []string{"plan 2", "delete web", "delete backend"}, w.all())
	require.Equal(t, "everything is to be destroyed", w.last(t, schemas.StatusResourceDeleting).Resource.Cause)
	require.True(t, w.last(t, schemas.StatusDeploymentSucceeded).Deployment.Destroy)
}

func TestADestructionThatFailsIsNotRolledBack(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureKeep, remove("web"))
	w.remove = func(activities.DeleteInput) error { return fault(activities.Conflict, "web", "is in use") }
	requireType(t, w.run(DeployInput{Command: command(1), Revision: activities.Revision{Number: 2}, Destroy: true, Stable: activities.Revision{Number: 1}}), ErrorFailed)
	require.Equal(t, []string{"plan 2"}, w.all())
}
