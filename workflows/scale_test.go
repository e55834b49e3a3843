package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"windlass/activities"
	"windlass/schemas"
)

// scalable has the deployments scale, and returns what was asked of whom.
func scalable(d *deployments) *[]activities.ScaleInput {
	var asked []activities.ScaleInput
	d.RegisterActivityWithOptions(func(_ context.Context, in activities.ScaleInput) (activities.ScaleOutput, error) {
		asked = append(asked, in)
		if in.Command.ID == "id-d" {
			return activities.ScaleOutput{}, failed(schemas.Failure{Kind: string(activities.Invalid), Field: "data.replicas", Message: "too many"})
		}
		return activities.ScaleOutput{Reference: "scaled-" + in.Command.Revision}, nil
	}, activity.RegisterOptions{Name: activities.NameScale})
	return &asked
}

// A scaling is a revision of its own, and waits for the deployment before it, which it
// does not make needless.
func TestTheLastDeploymentIsScaled(t *testing.T) {
	d := newDeployments(t)
	asked := scalable(d)
	d.signal(0, command(0))
	d.signal(time.Second, command(1))
	d.signal(2*time.Second, order(2, schemas.CommandScaleRequested))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-a", "id-b", "id-c"}, d.commands())
	require.Equal(t, activities.Revision{Number: 3, Reference: "scaled-document-c"}, d.inputs[2].Revision)
	require.Equal(t, activities.Revision{Number: 2, Reference: "document-b"}, (*asked)[0].Of)
	require.Empty(t, d.superseded())
}

func TestAScalingThatWaitsIsSupersededByADeployment(t *testing.T) {
	d := newDeployments(t)
	scalable(d)
	d.signal(0, command(0))
	d.signal(time.Second, order(1, schemas.CommandScaleRequested))
	d.signal(2*time.Second, command(2))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"id-a", "id-c"}, d.commands())
	require.Equal(t, map[string]string{"id-b": "id-c"}, d.superseded())
}

func TestWhatCannotBeScaledIsRejected(t *testing.T) {
	d := newDeployments(t)
	scalable(d)
	d.signal(0, order(1, schemas.CommandScaleRequested))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []string{"command.rejected"}, d.told(), "nothing is deployed")

	d = newDeployments(t)
	d.partial = true
	asked := scalable(d)
	d.signal(0, command(0))
	d.signal(5*time.Minute, order(1, schemas.CommandScaleRequested))
	d.serve(t, InfrastructureInput{Revision: 1, Stable: activities.Revision{Number: 1, Reference: "document"}})
	require.Equal(t, []string{"command.rejected"}, d.told(), "something is left out")
	require.Empty(t, *asked)

	d = newDeployments(t)
	scalable(d)
	d.signal(0, command(0))
	d.signal(5*time.Minute, order(3, schemas.CommandScaleRequested))
	d.signal(6*time.Minute, command(2))
	d.serve(t, InfrastructureInput{})
	require.Equal(t, []schemas.Fault{{Field: "data.replicas", Reason: "too many"}}, d.last(t, schemas.StatusCommandRejected).Command.Faults)
	require.Equal(t, []string{"id-a", "id-c"}, d.commands(), "a late one is served all the same")
}
