package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/plan/supervision"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// place stands in for what exchanges replicas by itself: one more with each look at it.
type place struct {
	strategy schemas.Strategy
	replicas int
	// watch is what a look at the new version comes to, where it is not the next step.
	watch func(ctx context.Context, seen supervision.Exchange) (supervision.Exchange, error)
	// declare fails where it is set.
	declare func(in activities.DeclareInput) error
}

func (p *place) next(seen supervision.Exchange) supervision.Exchange {
	n := min(seen.Available+1, p.replicas)
	return supervision.Exchange{Declared: p.replicas, Updated: n, Ready: n, Available: n, Old: p.replicas - n, OldAvailable: p.replicas - n, Complete: n == p.replicas}
}

func (p *place) register(w *world) {
	version := func(in activities.Revision) string { return fmt.Sprintf("revision %d", in.Number) }
	for name, function := range map[string]any{
		activities.NameLookUpVersions: func(_ context.Context, in activities.SurveyInput) (activities.VersionsOutput, error) {
			return activities.VersionsOutput{
				Strategy: p.strategy.WithDefaults(),
				Target:   rollout.Version{Set: "new", Replicas: p.replicas, Revision: in.Revision.Number},
				Stable:   rollout.Version{Set: "old", Replicas: p.replicas, Revision: in.Stable.Number},
			}, nil
		},
		activities.NameDeclareVersion: func(_ context.Context, in activities.DeclareInput) error {
			note := "declare " + version(in.Revision)
			if in.Paused {
				note += " paused"
			}
			w.note(note)
			if p.declare != nil {
				return p.declare(in)
			}
			return nil
		},
		activities.NameWatchExchange: func(ctx context.Context, in activities.ExchangeInput) (supervision.Exchange, error) {
			if p.watch != nil && in.Revision.Number == 2 {
				return p.watch(ctx, in.Seen)
			}
			return p.next(in.Seen), nil
		},
		activities.NameFinishRollout: func(_ context.Context, in activities.ComputeInput) (activities.ApplyOutput, error) {
			w.note("finish " + version(in.Revision))
			return activities.ApplyOutput{Outputs: schemas.Outputs{"name": "web"}}, nil
		},
	} {
		w.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
	w.RegisterWorkflowWithOptions(Rollout, workflow.RegisterOptions{Name: NameRollout})
}

func supervisedInput() RolloutInput {
	in := rolloutInput()
	in.Supervised = true
	return in
}

func TestASupervisedRolloutTellsHowItGoesOn(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 3}
	p.register(w)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	var out RolloutOutput
	require.NoError(t, w.GetWorkflowResult(&out))
	require.Equal(t, schemas.Outputs{"name": "web"}, out.Outputs)
	require.Equal(t, []string{"declare revision 2", "finish revision 2"}, w.all())
	told := w.told()
	require.Equal(t, "rollout.started", told[0])
	require.Equal(t, "rollout.succeeded", told[len(told)-1])
	require.Equal(t, 3, w.last(t, schemas.StatusRolloutSucceeded).Rollout.Sets[0].Available)
}

func TestASupervisedRolloutThatFailsGoesBackWithTheEvidence(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 3}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		if seen.Available == 1 {
			f := &activities.Fault{Kind: activities.Unhealthy, Resource: "web", Message: "pod web-1 crashed", Evidence: &schemas.Evidence{Container: "web-1"}}
			return seen, temporal.NewApplicationErrorWithOptions(f.Error(), string(f.Kind), temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{schemas.Failure{Kind: string(f.Kind), Message: f.Message, Evidence: f.Evidence}}})
		}
		return p.next(seen), nil
	}
	p.register(w)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	err := w.GetWorkflowError()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, ErrorRolledBack, failed.Type())
	require.Equal(t, "pod web-1 crashed", activities.FailureOf(err).Message)
	require.Equal(t, "web-1", activities.FailureOf(err).Evidence.Container)
	require.Equal(t, []string{"declare revision 2", "declare revision 1", "finish revision 1"}, w.all())
	require.Contains(t, w.told(), "rollout.rolledback")
}

func TestASupervisedRolloutThatStandsStillGoesBackAtTheDeadline(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 3, strategy: schemas.Strategy{ProgressDeadlineSeconds: 30}}
	// A test's time stands still while an activity runs, so that the watch ends by itself.
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		return seen, fault(activities.Unavailable, "web", "nothing to see")
	}
	p.register(w)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.Equal(t, rollout.KindDeadline, activities.FailureOf(w.GetWorkflowError()).Kind)
	require.True(t, w.did("finish revision 1"))
}

func TestPausingASupervisedRolloutPausesItsPlace(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2, strategy: schemas.Strategy{ProgressDeadlineSeconds: 30}}
	paused := false
	p.declare = func(in activities.DeclareInput) error { paused = in.Paused; return nil }
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		if paused || seen.Available == 0 && !w.did("declare revision 2 paused") {
			return seen, fault(activities.Unavailable, "web", "nothing to see")
		}
		return p.next(seen), nil
	}
	p.register(w)
	order := func(after time.Duration, n int, order schemas.RolloutOrder) {
		w.RegisterDelayedCallback(func() {
			c := command(n)
			c.Type, c.Order = schemas.CommandRolloutPause, order
			w.SignalWorkflow(SignalOrder, c)
		}, after)
	}
	order(time.Second, 3, schemas.RolloutPause)
	order(time.Minute, 4, schemas.RolloutResume)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.NoError(t, w.GetWorkflowError(), "a pause is held against no deadline")
	require.Equal(t, []string{"declare revision 2", "declare revision 2 paused", "declare revision 2", "finish revision 2"}, w.all())
	require.Contains(t, w.told(), "rollout.paused")
}

func TestACancelledSupervisedRolloutLeavesThePlacePaused(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		return seen, fault(activities.Unavailable, "web", "nothing to see")
	}
	p.register(w)
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Second)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.True(t, temporal.IsCanceledError(w.GetWorkflowError()))
	require.Equal(t, []string{"declare revision 2", "declare revision 2 paused"}, w.all())
	require.True(t, slices.Contains(w.told(), "rollout.cancelled"))
}

func TestALongSupervisedRolloutGoesOnInNewRuns(t *testing.T) {
	in, runs, told := supervisedInput(), 0, 0
	for ; ; runs++ {
		w, p, looks := newWorld(t), &place{replicas: 40, strategy: schemas.Strategy{Monitor: quantity.Duration(time.Minute)}}, 0
		p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
			if looks++; looks > 10 {
				w.SetCurrentHistoryLength(longHistory + 1)
			}
			if seen.Complete {
				return seen, fault(activities.Unavailable, "web", "nothing to see")
			}
			return p.next(seen), nil
		}
		p.register(w)
		w.ExecuteWorkflow(NameRollout, in)
		err := w.GetWorkflowError()
		var again *workflow.ContinueAsNewError
		if !errors.As(err, &again) {
			require.NoError(t, err)
			break
		}
		in = RolloutInput{}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
		require.Greater(t, in.Told, told, "the numbers of the events begin again")
		told = in.Told
		require.Less(t, runs, 20)
	}
	require.GreaterOrEqual(t, runs, 3)
}
