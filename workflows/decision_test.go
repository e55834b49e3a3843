package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"windlass/activities"
	"windlass/schemas"
)

func decision(n int, d schemas.Decision, of int) schemas.CommandReference {
	c := order(n, schemas.CommandResumeRequested)
	c.Decision, c.Of = d, of
	return c
}

// decide sends a decision after some time.
func (w *world) decide(after time.Duration, c schemas.CommandReference) {
	w.RegisterDelayedCallback(func() { w.SignalWorkflow(SignalDecision, c) }, after)
}

func TestAPlanThatNeedsApprovalWaitsForIt(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}, Approval: true, Fingerprint: "f", Summary: "1 to create"}
	w.RegisterDelayedCallback(func() {
		require.False(t, w.did("apply web of 2"), "it did not wait")
		require.Equal(t, []schemas.Decision{schemas.DecisionApprove}, w.last(t, schemas.StatusDeploymentPaused).Deployment.Decisions)
	}, time.Hour)
	w.decide(2*time.Hour, decision(2, schemas.DecisionRetry, 2))
	w.decide(3*time.Hour, decision(3, schemas.DecisionApprove, 1))
	w.decide(4*time.Hour, decision(4, schemas.DecisionApprove, 2))
	require.NoError(t, w.deploy(1))
	require.Equal(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "deployment.paused", "command.rejected", "command.rejected",
		"command.accepted", "deployment.resumed", "resource.creating web", "resource.ready web", "deployment.succeeded",
	}, w.told())
	resumed := w.last(t, schemas.StatusDeploymentResumed).Deployment
	require.Equal(t, schemas.DecisionApprove, resumed.Decision)
	require.Equal(t, "/test", resumed.By)
}

func TestAPlanThatWentStaleIsApprovedAgain(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}, Approval: true, Fingerprint: "f"}
	w.RegisterDelayedCallback(func() {
		w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web"), create("db")}, Approval: true, Fingerprint: "g"}
	}, time.Minute)
	w.decide(time.Hour, decision(2, schemas.DecisionApprove, 2))
	w.RegisterDelayedCallback(func() { require.False(t, w.did("apply web of 2"), "another plan ran than was approved") }, 90*time.Minute)
	w.decide(2*time.Hour, decision(3, schemas.DecisionApprove, 2))
	require.NoError(t, w.deploy(1))
	require.True(t, w.did("apply db of 2"))
	require.Equal(t, 2, count(w.told(), "deployment.planned"))
	require.Equal(t, 2, count(w.told(), "deployment.paused"))
}

func TestNothingToDoNeedsNoApproval(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{{ID: "none web", Action: schemas.ActionNone, Resource: "web"}}, Approval: true, Fingerprint: "f"}
	require.NoError(t, w.deploy(1))
	require.NotContains(t, w.told(), "deployment.paused")
}

func TestAPlanThatIsRefusedTouchesNothing(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}, Approval: true, Fingerprint: "f", OnFailure: schemas.OnFailureRollback}
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Hour)
	require.True(t, temporal.IsCanceledError(w.deploy(1)))
	require.Equal(t, []string{"command.accepted", "deployment.started", "deployment.planned", "deployment.paused", "deployment.cancelled"}, w.told())
}

// paused is a world in which the web fails as often as said, and then works.
func paused(t *testing.T, failures int) *world {
	t.Helper()
	w := newWorld(t)
	plan := activities.PlanOutput{Operations: []schemas.Operation{create("db"), create("web", "db"), create("edge", "web")}, OnFailure: schemas.OnFailurePause}
	w.plans[1] = activities.PlanOutput{Operations: []schemas.Operation{remove("db")}}
	w.plans[2] = plan
	w.apply = func(_ context.Context, in activities.ApplyInput) error {
		if in.Resource == "web" && failures > 0 {
			failures--
			return fault(activities.Unhealthy, "web", "never healthy")
		}
		return nil
	}
	return w
}

func TestADeploymentThatPausedIsTriedAgain(t *testing.T) {
	w := paused(t, 2)
	w.decide(time.Hour, decision(2, schemas.DecisionRetry, 2))
	w.decide(2*time.Hour, decision(3, schemas.DecisionRetry, 2))
	require.NoError(t, w.deploy(1))
	require.Equal(t, 2, count(w.told(), "deployment.paused"))
	require.Equal(t, "never healthy", w.last(t, schemas.StatusDeploymentPaused).Deployment.Error.Message)
	require.True(t, w.did("apply edge of 2"))
	require.Empty(t, w.last(t, schemas.StatusDeploymentSucceeded).Deployment.Skipped)
}

func TestWhatFailedIsSkipped(t *testing.T) {
	w := paused(t, 1)
	w.decide(time.Hour, decision(2, schemas.DecisionSkip, 2))
	require.NoError(t, w.deploy(1))
	require.False(t, w.did("apply web of 2"))
	require.True(t, w.did("apply edge of 2"), "what needs it goes on")
	require.Equal(t, []string{"web"}, w.last(t, schemas.StatusDeploymentSucceeded).Deployment.Skipped)
	var out DeployOutput
	require.NoError(t, w.GetWorkflowResult(&out))
	require.True(t, out.Partial)
}

func TestADeploymentThatPausedIsRolledBack(t *testing.T) {
	w := paused(t, 9)
	w.decide(time.Hour, decision(2, schemas.DecisionRollback, 2))
	require.ErrorContains(t, w.deploy(1), "never healthy")
	require.True(t, w.did("delete db"))
	told := w.told()
	require.Equal(t, "deployment.rolledback", told[len(told)-1])
}

func TestADecisionThatComesTooLateIsRejected(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}}
	w.apply = func(context.Context, activities.ApplyInput) error {
		w.SignalWorkflow(SignalDecision, decision(2, schemas.DecisionApprove, 2))
		return nil
	}
	require.NoError(t, w.deploy(1))
	require.Contains(t, w.told(), "command.rejected")
	require.Equal(t, "revision 2 of staging/users waits for no decision", w.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason)
}

func TestARevisionWithSkippedResourcesIsNoRollbackTarget(t *testing.T) {
	d := newDeployments(t)
	d.partial = true
	d.signal(0, command(1))
	d.signal(5*time.Minute, command(2))
	d.serve(t, InfrastructureInput{})
	require.Zero(t, d.inputs[1].Stable.Number)
}

func TestADecisionIsBroughtToTheDeploymentThatRuns(t *testing.T) {
	d := newDeployments(t)
	var got []schemas.CommandReference
	d.heard = &got
	approve := decision(2, schemas.DecisionApprove, 1)
	d.signal(0, command(1))
	d.signal(30*time.Second, approve)
	d.signal(10*time.Minute, decision(3, schemas.DecisionApprove, 1))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []schemas.CommandReference{approve}, got)
	require.Equal(t, []string{"command.rejected"}, d.told(), "nothing waits for the second one")
}

func TestACommandThatSupersedesCancelsWhatRuns(t *testing.T) {
	d := newDeployments(t)
	newer := command(2)
	newer.Supersede = true
	d.signal(0, command(1))
	d.signal(30*time.Second, newer)
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-c"}, d.commands())
	require.Zero(t, d.inputs[1].Stable.Number, "the first one came to no end")
}

func count(all []string, wanted string) int {
	n := 0
	for _, one := range all {
		if one == wanted {
			n++
		}
	}
	return n
}

func TestADeploymentOfTargetsIsNoRollbackTarget(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{create("web")}, Partial: true}
	require.NoError(t, w.deploy(1))
	require.True(t, w.last(t, schemas.StatusDeploymentSucceeded).Deployment.Partial)
	var out DeployOutput
	require.NoError(t, w.GetWorkflowResult(&out))
	require.True(t, out.Partial)
}
