package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"windlass/activities"
	"windlass/schemas"
	"windlass/workflows"
)

var _ activities.Watches = (*watches)(nil)

// watches are Temporal schedules, named like the Infrastructure.
type watches struct{ temporal client.Client }

// missedWatches is how long a look that was missed, since Temporal was away, is
// made up for.
const missedWatches = 10 * time.Second

func watchID(scope schemas.Scope) string { return "drift/" + scope.String() }

// Set implements activities.Watches.
func (w *watches) Set(ctx context.Context, scope schemas.Scope, drift schemas.Drift) error {
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Duration(drift.Interval)}}}
	action := &client.ScheduleWorkflowAction{
		ID: workflows.DriftID(scope), Workflow: workflows.NameDrift, TaskQueue: TaskQueue,
		Args: []any{workflows.DriftInput{Scope: scope}},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttributeEnvironment.ValueSet(scope.Environment),
			workflows.AttributeInfrastructure.ValueSet(scope.Infrastructure),
		),
	}
	schedules := w.temporal.ScheduleClient()
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: watchID(scope), Spec: spec, Action: action, CatchupWindow: missedWatches, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = schedules.GetHandle(ctx, watchID(scope)).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				return &client.ScheduleUpdate{Schedule: &client.Schedule{
					Spec: &spec, Action: action,
					Policy: &client.SchedulePolicies{CatchupWindow: missedWatches, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP},
					State:  &client.ScheduleState{},
				}}, nil
			},
		})
	}
	if err != nil {
		return fmt.Errorf("schedule looks for drift of %s: %w", scope, err)
	}
	return nil
}

// Remove implements activities.Watches.
func (w *watches) Remove(ctx context.Context, scope schemas.Scope) error {
	err := w.temporal.ScheduleClient().GetHandle(ctx, watchID(scope)).Delete(ctx)
	var gone *serviceerror.NotFound
	if err == nil || errors.As(err, &gone) {
		return nil
	}
	return fmt.Errorf("end the schedule of looks for drift of %s: %w", scope, err)
}
