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
