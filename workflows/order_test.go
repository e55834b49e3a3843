package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

func order(n int, eventType string) schemas.CommandReference {
	c := command(n)
	c.Type = eventType
	return c
}

func TestProtectionIsLiftedWithoutWaitingForADeployment(t *testing.T) {
	d := newDeployments(t)
	d.RegisterActivityWithOptions(func(_ context.Context, in activities.UnprotectInput) (activities.UnprotectOutput, error) {
		require.Len(t, d.inputs, 1, "the deployment runs")
		return activities.UnprotectOutput{Resources: []schemas.ResourceStatus{{Scope: users, Resource: "db", Type: schemas.TypeDatabase, Cause: "moved"}}}, nil
	}, activity.RegisterOptions{Name: activities.NameUnprotect})
	d.signal(0, command(1))
	d.signal(30*time.Second, order(2, schemas.CommandUnprotectRequested))
	d.signal(40*time.Second, order(2, schemas.CommandUnprotectRequested))
	d.signal(45*time.Second, command(3))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"command.accepted", "resource.unprotected db"}, d.told(), "once for both copies")
	e := d.last(t, schemas.StatusResourceUnprotected)
	require.Equal(t, "id-c", e.CausationID)
	require.Equal(t, "moved", e.Resource.Cause)
	require.Equal(t, []string{"id-b", "id-d"}, d.commands(), "it supersedes nothing, and takes no revision")
	require.Equal(t, 2, d.inputs[1].Revision.Number)
}

func TestAnOrderThatCannotBeServedIsRejected(t *testing.T) {
	d := newDeployments(t)
	d.RegisterActivityWithOptions(func(context.Context, activities.UnprotectInput) (activities.UnprotectOutput, error) {
		return activities.UnprotectOutput{}, failed(schemas.Failure{Kind: string(activities.NotFound), Field: "data.resources[0]", Message: "is not protected", Hint: "look"})
	}, activity.RegisterOptions{Name: activities.NameUnprotect})
	d.signal(0, order(1, schemas.CommandUnprotectRequested))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"command.rejected"}, d.told())
	require.Equal(t, []schemas.Fault{{Field: "data.resources[0]", Reason: "is not protected; look"}}, d.last(t, schemas.StatusCommandRejected).Command.Faults)
	require.Len(t, d.rejected, 1, "a dead letter is kept")
}

func TestACancelEndsTheDeploymentThatRuns(t *testing.T) {
	d := newDeployments(t)
	cancelled := 0
	d.end = func(ctx workflow.Context, in DeployInput) error { return ctx.Err() }
	d.SetOnChildWorkflowCanceledListener(func(*workflow.Info) { cancelled++ })
	d.signal(0, command(1))
	d.signal(30*time.Second, order(2, schemas.CommandCancelRequested))
	d.signal(50*time.Second, order(3, schemas.CommandCancelRequested))
	d.signal(5*time.Minute, command(4))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, 1, cancelled)
	require.Equal(t, []string{"command.accepted", "command.rejected"}, d.told(), "the second finds nothing that runs")
	require.Equal(t, "no deployment of staging/users runs", d.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason)
	require.Equal(t, []string{"id-b", "id-e"}, d.commands(), "the next one is served")
	require.True(t, temporal.IsCanceledError(d.GetWorkflowError()))
}

func TestADestructionOfWhatIsProtectedIsRejected(t *testing.T) {
	w := newWorld(t)
	protected := schemas.Failure{Kind: string(activities.Protected), Resource: "db", Field: "spec.resources", Message: "it is protected", Hint: "windlass unprotect staging/users db"}
	w.OnActivity(activities.NamePlan, mock.Anything, mock.Anything).Return(activities.PlanOutput{}, failed(protected))
	in := DeployInput{Command: order(1, schemas.CommandDestroyRequested), Revision: activities.Revision{Number: 2}, Destroy: true}
	w.ExecuteWorkflow(Deploy, in)
	require.Equal(t, []string{"command.accepted", "deployment.started", "command.rejected", "deployment.failed"}, w.told())
	require.Equal(t, "it is protected; windlass unprotect staging/users db", w.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason)
}

func TestRecordsAreMadeAnewBetweenDeployments(t *testing.T) {
	d := newDeployments(t)
	d.RegisterActivityWithOptions(func(_ context.Context, in activities.ResyncInput) (activities.ResyncOutput, error) {
		require.Equal(t, activities.ResyncInput{Scope: users, Revision: 1, Stable: 1}, in)
		return activities.ResyncOutput{Revision: 7}, nil
	}, activity.RegisterOptions{Name: activities.NameResync})
	d.signal(0, command(1))
	d.signal(30*time.Second, order(2, schemas.CommandResyncRequested))
	d.signal(5*time.Minute, order(3, schemas.CommandResyncRequested))
	d.signal(10*time.Minute, command(4))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"command.rejected", "command.accepted"}, d.told())
	require.Equal(t, 8, d.inputs[1].Revision.Number, "numbers go on from what is found")
}

func TestAnOrderThatComesWhileARunContinuesAsNewIsAnswered(t *testing.T) {
	d := newDeployments(t)
	long := 0
	d.SetCurrentHistoryLength(longHistory + 1)
	d.publish = func([]schemas.Event) error {
		if long++; long == 1 { // the outbox is flushed for the end of the run
			d.SignalWorkflow(SignalCommand, order(3, schemas.CommandCancelRequested))
		}
		return nil
	}
	d.signal(0, order(2, schemas.CommandCancelRequested))
	d.serveUntilLong(t, InfrastructureInput{})
	require.Equal(t, []string{"command.rejected", "command.rejected"}, d.told())
}
