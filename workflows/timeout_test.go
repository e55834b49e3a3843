package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

func TestAnOperationThatTakesLongerThanItsTimeoutFails(t *testing.T) {
	w := newWorld(t)
	o := create("web")
	o.Timeout = quantity.Duration(time.Minute)
	w.plans[2] = activities.PlanOutput{Operations: []schemas.Operation{o}, OnFailure: schemas.OnFailureKeep}
	w.apply = func(context.Context, activities.ApplyInput) error {
		return fault(activities.Unavailable, "web", "the engine does not answer")
	}
	require.Error(t, w.deploy(1))
	failure := w.last(t, schemas.StatusResourceFailed).Resource.Error
	require.Equal(t, "TimedOut", failure.Kind)
	require.Equal(t, "timeouts.create", failure.Field)
	require.Contains(t, failure.Message, "create web did not end within 1m0s")
}

func TestAnImageThatIsNotThereInTimeFailsTheDeployment(t *testing.T) {
	w := newWorld(t)
	p := moving(0)
	p.Pulls = []activities.PullInput{{Resource: "web", Image: "a:1", Timeout: quantity.Duration(time.Minute)}}
	w.plans[2] = p
	w.pull = func(activities.PullInput) error {
		return fault(activities.Unavailable, "web", "the registry does not answer")
	}
	begun := w.Now()
	require.Error(t, w.deploy(1))
	require.Less(t, w.Now().Sub(begun), 2*time.Minute)
	failure := w.last(t, schemas.StatusDeploymentFailed).Deployment.Error
	require.Equal(t, "ProgressDeadlineExceeded", failure.Kind)
	require.Equal(t, "image a:1 was not pulled within 1m0s; the last attempt failed with: the registry does not answer", failure.Message)
	require.Empty(t, w.all()[1:], "something was touched")
}
