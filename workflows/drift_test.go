package workflows

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// reality is what looks for drift find, one after the other.
type reality struct {
	*deployments
	looks   []map[string]string
	seen    int
	watches []*schemas.Drift
}

func newReality(t *testing.T, policy *schemas.Drift, looks ...map[string]string) *reality {
	t.Helper()
	r := &reality{deployments: newDeployments(t), looks: looks}
	r.drift = policy
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.DriftInput) (activities.DriftOutput, error) {
		look := r.looks[min(r.seen, len(r.looks)-1)]
		r.seen++
		if look == nil {
			return activities.DriftOutput{}, errors.New("the engine is away")
		}
		var out activities.DriftOutput
		for _, name := range workflow.DeterministicKeys(look) {
			out.Resources = append(out.Resources, schemas.ResourceStatus{Scope: users, Revision: in.Revision.Number, Resource: name, Cause: look[name]})
		}
		return out, nil
	}, activity.RegisterOptions{Name: activities.NameDrift})
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.WatchInput) error {
		r.watches = append(r.watches, in.Drift)
		return nil
	}, activity.RegisterOptions{Name: activities.NameWatch})
	return r
}

// look asks for a look after some time.
func (r *reality) look(after time.Duration) {
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(SignalDrift, nil) }, after)
}

func TestDriftIsToldWhenItComesAndWhenItGoes(t *testing.T) {
	r := newReality(t, &schemas.Drift{}, map[string]string{}, map[string]string{"web": "replica 0 is missing"}, map[string]string{"web": "replica 0 is missing"}, nil, map[string]string{"db": "is paused"})
	r.signal(0, command(1))
	for minute := range 5 {
		r.look(time.Duration(5+minute) * time.Minute)
	}
	r.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"resource.drifted web", "resource.drifted db", "resource.ready web"}, r.told())
	require.Equal(t, "replica 0 is missing", r.published[0].Resource.Cause)
	require.Len(t, r.inputs, 1, "nothing is put back unless that is asked for")
	require.Len(t, r.watches, 1)
	for n, e := range r.published[1:] {
		require.Greater(t, e.Sequence, r.published[n].Sequence)
	}
	require.Less(t, r.published[2].Sequence, schemas.DeploymentSequence(2, 1))
}

func TestDriftIsHealedByTheStableRevision(t *testing.T) {
	gone := map[string]string{"web": "replica 0 is missing"}
	r := newReality(t, &schemas.Drift{SelfHeal: true}, gone, map[string]string{})
	r.signal(0, command(1))
	r.look(5 * time.Minute)
	r.look(10 * time.Minute)
	r.signal(15*time.Minute, command(2))
	r.serve(t, InfrastructureInput{})
	require.Len(t, r.inputs, 3)
	heal := r.inputs[1]
	require.True(t, heal.Heal)
	require.Equal(t, activities.Revision{Number: 2, Reference: "document-b"}, heal.Revision)
	require.Equal(t, activities.Revision{Number: 1, Reference: "document-b"}, heal.Stable)
	require.Equal(t, "id-c", r.inputs[2].Command.ID, "a healing supersedes no command")
	require.Equal(t, 2, r.inputs[2].Stable.Number)
}

func TestWhatCannotBeHealedIsNotTriedAgainUntilItChanges(t *testing.T) {
	gone, worse := map[string]string{"web": "replica 0 is missing"}, map[string]string{"web": "replica 1 is missing"}
	r := newReality(t, &schemas.Drift{SelfHeal: true}, gone, gone, gone, worse)
	r.end = func(_ workflow.Context, in DeployInput) error {
		if in.Heal {
			return failed(schemas.Failure{Kind: ErrorFailed, Message: "the image is gone"})
		}
		return nil
	}
	r.signal(0, command(1))
	for n := range 4 {
		r.look(time.Duration(5*(n+1)) * time.Minute)
	}
	r.serve(t, InfrastructureInput{})
	require.Len(t, r.inputs, 3, "one deployment and two attempts")
}

func TestNobodyLooksForDriftWhereNothingIsDeployed(t *testing.T) {
	r := newReality(t, &schemas.Drift{SelfHeal: true}, map[string]string{"web": "is missing"})
	destroy := order(2, schemas.CommandDestroyRequested)
	r.look(0)
	r.signal(time.Minute, command(1))
	r.RegisterDelayedCallback(func() { r.drift = nil }, 5*time.Minute)
	r.signal(5*time.Minute, destroy)
	r.look(10 * time.Minute)
	r.serve(t, InfrastructureInput{})
	require.Zero(t, r.seen)
	require.Equal(t, []*schemas.Drift{{SelfHeal: true}, nil}, r.watches, "the schedule ends")
}

func TestADriftWorkflowAsksTheInfrastructure(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	e := suite.NewTestWorkflowEnvironment()
	e.OnSignalExternalWorkflow(mock.Anything, "infrastructure/staging/users", "", SignalDrift, mock.Anything).Return(nil).Once()
	e.ExecuteWorkflow(Drift, DriftInput{Scope: users})
	require.NoError(t, e.GetWorkflowError())
	e.AssertExpectations(t)
}

func TestAHealingTellsNoAcceptedCommandAndIsNotRolledBack(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}, OnFailure: schemas.OnFailureRollback}
	w.apply = func(context.Context, activities.ApplyInput) error {
		return fault(activities.Unhealthy, "web", "never healthy")
	}
	w.ExecuteWorkflow(Deploy, DeployInput{Command: command(1), Revision: activities.Revision{Number: 2, Reference: "a"}, Stable: activities.Revision{Number: 1, Reference: "a"}, Heal: true})
	require.ErrorContains(t, w.GetWorkflowError(), "never healthy")
	require.Equal(t, []string{"deployment.started", "deployment.planned", "resource.creating web", "resource.failed web", "deployment.failed"}, w.told())
}

func TestNobodyLooksForDriftAfterADeploymentThatLeftSomethingOut(t *testing.T) {
	r := newReality(t, &schemas.Drift{SelfHeal: true}, map[string]string{"web": "differs from revision 1"})
	r.signal(0, command(1))
	r.RegisterDelayedCallback(func() { r.partial = true }, 2*time.Minute)
	r.signal(3*time.Minute, command(2))
	r.look(5 * time.Minute)
	r.serve(t, InfrastructureInput{})
	require.Zero(t, r.seen)
	require.Len(t, r.inputs, 2, "what somebody wanted is taken back")
}
