package workflows

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// deployments stands in for the Deploy workflow: each takes a minute, and ends as
// the function says.
type deployments struct {
	*world
	inputs []DeployInput
	end    func(ctx workflow.Context, in DeployInput) error
	// drift and partial are what each leaves behind; heard are the decisions that came.
	drift   *schemas.Drift
	partial bool
	heard   *[]schemas.CommandReference
}

func newDeployments(t *testing.T) *deployments {
	t.Helper()
	d := &deployments{world: newWorld(t)}
	d.RegisterWorkflowWithOptions(func(ctx workflow.Context, in DeployInput) (DeployOutput, error) {
		d.inputs = append(d.inputs, in)
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return DeployOutput{}, err
		}
		var decision schemas.CommandReference
		if workflow.GetSignalChannel(ctx, SignalDecision).ReceiveAsync(&decision) {
			*d.heard = append(*d.heard, decision)
		}
		out := DeployOutput{Drift: d.drift, Partial: d.partial}
		if d.end != nil {
			return out, d.end(ctx, in)
		}
		return out, nil
	}, workflow.RegisterOptions{Name: NameDeploy})
	return d
}

// signal sends a command after some time.
func (d *deployments) signal(after time.Duration, command schemas.CommandReference) {
	d.RegisterDelayedCallback(func() { d.SignalWorkflow(SignalCommand, command) }, after)
}

// serve runs the Infrastructure for an hour of its time, and then cancels it.
func (d *deployments) serve(t *testing.T, in InfrastructureInput) {
	t.Helper()
	d.RegisterDelayedCallback(d.CancelWorkflow, time.Hour)
	in.Scope = users
	d.ExecuteWorkflow(NameInfrastructure, in)
	require.True(t, d.IsWorkflowCompleted())
	require.True(t, temporal.IsCanceledError(d.GetWorkflowError()), "%v", d.GetWorkflowError())
}

// serveUntilLong runs the Infrastructure until it continues as new, and returns
// what it carries along.
func (d *deployments) serveUntilLong(t *testing.T, in InfrastructureInput) InfrastructureInput {
	t.Helper()
	in.Scope = users
	d.ExecuteWorkflow(NameInfrastructure, in)
	require.True(t, d.IsWorkflowCompleted())
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, d.GetWorkflowError(), &next)
	require.Equal(t, NameInfrastructure, next.WorkflowType.Name)
	var carried InfrastructureInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &carried))
	return carried
}

// superseded are the commands that were told to be superseded, each with the newer one.
func (d *deployments) superseded() map[string]string {
	by := map[string]string{}
	for _, e := range d.published {
		if e.Type == schemas.StatusCommandSuperseded {
			by[e.CausationID] = e.Command.SupersededBy
		}
	}
	return by
}

func (d *deployments) commands() []string {
	var ids []string
	for _, in := range d.inputs {
		ids = append(ids, in.Command.ID)
	}
	return ids
}

func TestEachCommandBecomesARevision(t *testing.T) {
	d := newDeployments(t)
	destroy := command(3)
	destroy.Type = schemas.CommandDestroyRequested
	d.signal(0, command(1))
	d.signal(5*time.Minute, command(2))
	d.signal(10*time.Minute, destroy)
	d.signal(15*time.Minute, command(4))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []DeployInput{
		{Command: command(1), Revision: activities.Revision{Number: 1, Reference: "document-b"}},
		{Command: command(2), Revision: activities.Revision{Number: 2, Reference: "document-c"}, Stable: activities.Revision{Number: 1, Reference: "document-b"}},
		{Command: destroy, Revision: activities.Revision{Number: 3}, Destroy: true, Stable: activities.Revision{Number: 2, Reference: "document-c"}},
		{Command: command(4), Revision: activities.Revision{Number: 4, Reference: "document-e"}},
	}, d.inputs)
	require.Empty(t, d.told(), "an Infrastructure has nothing to tell where its deployments do")
}

func TestAFailedRevisionIsNoRollbackTarget(t *testing.T) {
	d := newDeployments(t)
	d.end = func(_ workflow.Context, in DeployInput) error {
		return map[int]error{
			2: temporal.NewNonRetryableApplicationError("boom", ErrorFailed, nil),
			3: temporal.NewNonRetryableApplicationError("boom", ErrorRolledBack, nil),
		}[in.Revision.Number]
	}
	for n := range 4 {
		d.signal(time.Duration(n)*5*time.Minute, command(n+1))
	}
	d.serve(t, InfrastructureInput{})
	var stable []int
	for _, in := range d.inputs {
		stable = append(stable, in.Stable.Number)
	}
	require.Equal(t, []int{0, 1, 1, 1}, stable)
	require.NotContains(t, d.told(), "deployment.failed", "a deployment that told its end is reported again")
}

// While one deployment runs, the newest of those that wait is the one that counts.
func TestANewerCommandSupersedesThoseThatWait(t *testing.T) {
	d := newDeployments(t)
	d.signal(0, command(1))
	for i, n := range []int{9, 4, 7, 2} {
		d.signal(time.Duration(i+1)*time.Second, command(n))
	}
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-j"}, d.commands())
	require.Equal(t, 2, d.inputs[1].Revision.Number)
	require.Equal(t, map[string]string{"id-c": "id-j", "id-e": "id-j", "id-h": "id-j"}, d.superseded())
}

func TestACommandOlderThanTheNewestServedIsSuperseded(t *testing.T) {
	d := newDeployments(t)
	d.signal(0, command(3))
	d.signal(time.Second, command(2))
	d.signal(5*time.Minute, command(1))
	renewed := command(4) // from a stream that was made anew, so that its sequence began again
	renewed.Sequence = 1
	d.signal(10*time.Minute, renewed)
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-d", "id-e"}, d.commands())
	require.Equal(t, map[string]string{"id-c": "id-d", "id-b": "id-d"}, d.superseded())
}

// Two deployments that come at once are both served, in order.
func TestTwoCommandsAtOnceAreServedInOrder(t *testing.T) {
	d := newDeployments(t)
	d.signal(time.Second, command(1))
	d.signal(time.Second, command(2))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-c"}, d.commands())
	require.Empty(t, d.told())
}

// What a destruction removes is not the same when it comes back.
func TestADestructionIsNotSuperseded(t *testing.T) {
	d := newDeployments(t)
	destroy := command(3)
	destroy.Type = schemas.CommandDestroyRequested
	d.signal(0, command(1))
	d.signal(time.Second, command(2))
	d.signal(2*time.Second, destroy)
	d.signal(3*time.Second, command(4))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-d", "id-e"}, d.commands())
	require.Equal(t, map[string]string{"id-c": "id-d"}, d.superseded())
	d.requireStory(t)
}

func TestOnlyOneDeploymentRunsAtATime(t *testing.T) {
	d := newDeployments(t)
	running, most := 0, 0
	d.end = func(workflow.Context, DeployInput) error { running--; return nil }
	d.SetOnChildWorkflowStartedListener(func(*workflow.Info, workflow.Context, converter.EncodedValues) {
		running++
		most = max(most, running)
	})
	for n := range 5 {
		d.signal(time.Duration(n)*45*time.Second, command(n+1))
	}
	d.serve(t, InfrastructureInput{})
	require.Greater(t, len(d.inputs), 3)
	require.Equal(t, 1, most)
}

func TestCopiesOfACommandHaveOneEffect(t *testing.T) {
	d := newDeployments(t)
	for i := range 5 {
		d.signal(time.Duration(i)*20*time.Second, command(1)) // while it runs and after
		d.signal(time.Duration(i)*20*time.Second, command(2))
	}
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-c"}, d.commands())
	require.Empty(t, d.told())
}

func TestALongRunContinuesAsNewAndForgetsNothing(t *testing.T) {
	first := newDeployments(t)
	first.signal(0, command(1))
	first.RegisterDelayedCallback(func() { first.SetCurrentHistoryLength(longHistory + 1) }, 30*time.Second)
	carried := first.serveUntilLong(t, InfrastructureInput{Revision: 6, Seen: []string{"key-z"}})
	require.Equal(t, InfrastructureInput{
		Scope: users, Revision: 7, Stable: activities.Revision{Number: 7, Reference: "document-b"}, Status: StatusReady, Seen: []string{"key-z", "key-b"},
		Served: command(1),
	}, carried)
	require.Empty(t, first.told())

	second := newDeployments(t)
	second.signal(0, command(1))
	second.signal(time.Minute, command(2))
	second.serve(t, carried)
	require.Equal(t, []string{"id-c"}, second.commands(), "a copy that comes after the continuation has an effect")
	require.Equal(t, 8, second.inputs[0].Revision.Number)
	require.Equal(t, 7, second.inputs[0].Stable.Number)
}

// Commands may keep coming: the run continues as new all the same, and takes what
// waits along.
func TestALongRunTakesItsQueueAlong(t *testing.T) {
	first := newDeployments(t)
	for n := range 4 {
		next := command(n + 1)
		next.Type = schemas.CommandDestroyRequested // one that nothing supersedes
		first.signal(time.Duration(n)*time.Second, next)
	}
	first.RegisterDelayedCallback(func() { first.SetContinueAsNewSuggested(true) }, 90*time.Second)
	carried := first.serveUntilLong(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b", "id-c"}, first.commands())
	require.Len(t, carried.Queue, 2)

	second := newDeployments(t)
	second.signal(10*time.Second, command(4))
	second.serve(t, carried)
	require.Equal(t, []string{"id-d", "id-e"}, second.commands())
	require.Equal(t, 4, second.inputs[1].Revision.Number)
}

func TestACommandThatArrivesWhileTheRunContinuesIsNotLost(t *testing.T) {
	d := newDeployments(t)
	d.signal(0, command(1))
	d.RegisterDelayedCallback(func() { d.SetContinueAsNewSuggested(true) }, 30*time.Second)
	d.end = func(workflow.Context, DeployInput) error {
		return errors.New("it tells nothing, so that an event has to be flushed") // see conclude
	}
	sent := false
	d.publish = func(batch []schemas.Event) error {
		if !sent && batch[0].Type == schemas.StatusDeploymentFailed {
			sent = true
			d.SignalWorkflow(SignalCommand, command(2))
		}
		return nil
	}
	carried := d.serveUntilLong(t, InfrastructureInput{})
	require.True(t, sent)
	require.Equal(t, []string{"id-b"}, d.commands())
	require.Equal(t, []schemas.CommandReference{command(2)}, carried.Queue)
	require.Equal(t, []string{"key-b", "key-c"}, carried.Seen)
}

func TestTheMemoryOfCommandsIsBounded(t *testing.T) {
	var seen []string
	for i := range rememberedCommands {
		seen = append(seen, fmt.Sprintf("old-%04d", i))
	}
	d := newDeployments(t)
	d.signal(0, command(1))
	d.RegisterDelayedCallback(func() { d.SetContinueAsNewSuggested(true) }, 30*time.Second)
	carried := d.serveUntilLong(t, InfrastructureInput{Seen: slices.Clone(seen)})
	require.Equal(t, append(seen[1:], "key-b"), carried.Seen)
}

func TestADeploymentThatWasEndedFromOutsideIsReported(t *testing.T) {
	tests := map[string]struct {
		err  error
		want schemas.Failure
	}{
		"terminated": {&temporal.TerminatedError{}, schemas.Failure{Kind: "Interrupted", Message: "the run was terminated before it was done", Hint: "deploy again; what is there is found and adopted"}},
		"timed out":  {errors.New("history is too long"), schemas.Failure{Kind: "Interrupted", Message: "the run ended unexpectedly: history is too long"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDeployments(t)
			d.end = func(_ workflow.Context, in DeployInput) error {
				if in.Revision.Number == 1 {
					return test.err
				}
				return nil
			}
			d.signal(0, command(1))
			d.signal(5*time.Minute, command(2))
			d.serve(t, InfrastructureInput{})
			require.Equal(t, []string{"deployment.failed"}, d.told())
			event := d.last(t, schemas.StatusDeploymentFailed)
			require.Equal(t, "/windlass/staging/users/deployments/1", event.Source)
			require.Equal(t, "00000001.99999999", event.Sequence)
			require.Equal(t, "infrastructure/staging/users/rev-1", event.CorrelationID)
			require.Equal(t, &schemas.DeploymentStatus{Scope: users, Revision: 1, Error: &test.want, Final: true}, event.Deployment)
			require.Equal(t, []string{"id-b", "id-c"}, d.commands(), "the next command waits")
			d.requireStory(t)
		})
	}
}

func TestRevisionNumbersRiseAfterTheMemoryIsLost(t *testing.T) {
	d := newDeployments(t)
	remembered := command(1)
	remembered.LastRevision = 41
	d.signal(0, remembered)
	d.serve(t, InfrastructureInput{})
	require.Equal(t, 42, d.inputs[0].Revision.Number)
}

// A person cancels the run in the web UI: what runs ends cleanly, and what waits is
// answered.
func TestACancelledInfrastructureAnswersEveryCommand(t *testing.T) {
	d := newDeployments(t)
	d.signal(0, command(1))
	d.signal(time.Second, command(2))
	d.RegisterDelayedCallback(d.CancelWorkflow, 30*time.Second)
	sent := false
	d.publish = func(batch []schemas.Event) error {
		if !sent && batch[len(batch)-1].Type == schemas.StatusDeploymentCancelled {
			sent = true
			d.SignalWorkflow(SignalCommand, command(3)) // while the last events go out
		}
		return nil
	}
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-b"}, d.commands())
	require.Equal(t, []string{"command.accepted", "deployment.cancelled", "command.accepted", "deployment.cancelled"}, d.told())
	for _, i := range []int{1, 3} {
		require.True(t, d.published[i].Deployment.Final)
		require.Equal(t, "Cancelled", d.published[i].Deployment.Error.Kind)
	}
	d.requireStory(t)
}

func TestNamesReadLikeTheDomain(t *testing.T) {
	require.Equal(t, "infrastructure/staging/users", InfrastructureID(users))
	require.Equal(t, "infrastructure/staging/users/rev-3", DeployID(users, 3))
}
