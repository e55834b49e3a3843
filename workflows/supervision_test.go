package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
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
	// found is what a look at the replicas finds.
	found *schemas.Evidence
}

// still is the error of a look at a place of which nothing is told: while an activity runs,
// a test's time stands still, so that it ends and is tried again.
var still = fault(activities.Unavailable, "web", "nothing to see")

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
			if b := in.Beside; b.Replicas > 0 {
				note += fmt.Sprintf(", %d beside with %d%%", b.Replicas, b.Weight)
			}
			w.note(note)
			if p.declare != nil {
				return p.declare(in)
			}
			return nil
		},
		activities.NameWatchExchange: func(ctx context.Context, in activities.ExchangeInput) (supervision.Exchange, error) {
			if n := in.Beside.Replicas; in.Beside.Apart() {
				if in.Seen.Complete {
					return in.Seen, still
				}
				return supervision.Exchange{Declared: n, Updated: n, Ready: n, Available: n, Old: p.replicas, OldAvailable: p.replicas, Complete: true}, nil
			}
			if p.watch != nil && in.Revision.Number == 2 {
				return p.watch(ctx, in.Seen)
			}
			return p.next(in.Seen), nil
		},
		activities.NameInspectReplicas: func(_ context.Context, in activities.ComputeInput) (activities.InspectOutput, error) {
			w.note("inspect " + version(in.Revision))
			return activities.InspectOutput{Evidence: p.found}, nil
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

// canaried has a step that holds for a minute, and one that waits for somebody.
func canaried() schemas.Strategy {
	minute := quantity.Duration(time.Minute)
	return schemas.Strategy{Type: schemas.StrategyCanary, Steps: []schemas.CanaryStep{
		{Weight: 10, Pause: &schemas.CanaryPause{Duration: &minute}}, {Weight: 60, Pause: &schemas.CanaryPause{}},
	}}
}

func TestASupervisedCanaryGoesStepByStep(t *testing.T) {
	for order, test := range map[schemas.RolloutOrder]struct {
		then []string
		ends string
		// failure is what the rollout ends with.
		failure string
	}{
		schemas.RolloutPromote: {[]string{"declare revision 2, 3 beside with 60%", "declare revision 2, 3 beside with 100%", "declare revision 2, 3 beside with 100%", "finish revision 2"}, "rollout.succeeded", ""},
		schemas.RolloutAbort:   {[]string{"declare revision 1", "finish revision 1"}, "rollout.rolledback", "the rollout was aborted by somebody"},
	} {
		t.Run(string(order), func(t *testing.T) {
			w, p := newWorld(t), &place{replicas: 3, strategy: canaried()}
			p.register(w)
			w.RegisterDelayedCallback(func() {
				w.SignalWorkflow(SignalOrder, schemas.CommandReference{ID: "id-order", Order: order, Source: "somebody"})
			}, 3*time.Minute)
			w.ExecuteWorkflow(NameRollout, supervisedInput())
			require.True(t, w.IsWorkflowCompleted())
			if err := w.GetWorkflowError(); test.failure != "" {
				require.Equal(t, test.failure, activities.FailureOf(err).Message)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, append([]string{
				"declare revision 2, 1 beside with 0%", "declare revision 2, 1 beside with 10%",
				"declare revision 2, 2 beside with 10%", "declare revision 2, 2 beside with 60%",
			}, test.then...), w.all())
			require.Contains(t, w.told(), test.ends)
		})
	}
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
	p.found = &schemas.Evidence{Container: "web-2", Logs: []string{"waiting for the database"}}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		return seen, still
	}
	p.register(w)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	failure := activities.FailureOf(w.GetWorkflowError())
	require.Equal(t, rollout.KindDeadline, failure.Kind)
	require.Equal(t, p.found, failure.Evidence)
	require.Equal(t, []string{"declare revision 2", "inspect revision 2", "declare revision 1", "finish revision 1"}, w.all(), "it is looked at before it is gone")
}

// sendOrder has somebody ask something of the rollout after a time.
func (w *world) sendOrder(after time.Duration, n int, order schemas.RolloutOrder) {
	w.RegisterDelayedCallback(func() {
		c := command(n)
		c.Type, c.Order = schemas.CommandRolloutPause, order
		w.SignalWorkflow(SignalOrder, c)
	}, after)
}

// A place that cannot be told anything holds up neither the deadline nor who asks for
// something meanwhile.
func TestASupervisedRolloutGoesOnWhileItsPlaceDoesNotAnswer(t *testing.T) {
	unanswered := func(until time.Duration) (*world, *place) {
		w, p := newWorld(t), &place{replicas: 2, strategy: schemas.Strategy{ProgressDeadlineSeconds: 60}}
		answers := until == 0
		if until > 0 {
			w.RegisterDelayedCallback(func() { answers = true }, until)
		}
		p.declare = func(in activities.DeclareInput) error {
			if in.Revision.Number == 2 && !in.Paused || !answers {
				return fault(activities.Unavailable, "web", "the server does not answer")
			}
			return nil
		}
		p.register(w)
		return w, p
	}
	t.Run("it goes back at the deadline", func(t *testing.T) {
		w, _ := unanswered(90 * time.Second)
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		requireType(t, w.GetWorkflowError(), ErrorRolledBack)
		require.Equal(t, rollout.KindDeadline, activities.FailureOf(w.GetWorkflowError()).Kind)
		require.True(t, w.did("finish revision 1"))
	})
	t.Run("it fails where the way back cannot be told either", func(t *testing.T) {
		w, _ := unanswered(time.Hour)
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		requireType(t, w.GetWorkflowError(), ErrorFailed)
		require.Contains(t, activities.FailureOf(w.GetWorkflowError()).Message, "; going back failed too: no replica became available within 1m0s")
		require.Contains(t, w.told(), "rollout.failed")
	})
	t.Run("it is aborted", func(t *testing.T) {
		w, _ := unanswered(0)
		w.sendOrder(10*time.Second, 3, schemas.RolloutAbort)
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		requireType(t, w.GetWorkflowError(), ErrorRolledBack)
		require.Equal(t, rollout.KindAborted, activities.FailureOf(w.GetWorkflowError()).Kind)
	})
	t.Run("it is paused", func(t *testing.T) {
		w, p := unanswered(0)
		p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) { return seen, still }
		w.sendOrder(10*time.Second, 3, schemas.RolloutPause)
		w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		require.True(t, temporal.IsCanceledError(w.GetWorkflowError()), "%v", w.GetWorkflowError())
		require.True(t, w.did("declare revision 2 paused"), "%v", w.all())
	})
}

func TestWhatAPlaceRefusesGoesBackAtOnce(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2}
	p.declare = func(in activities.DeclareInput) error {
		if in.Revision.Number == 2 {
			return fault(activities.Invalid, "web", "a webhook refuses it")
		}
		return nil
	}
	p.register(w)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	requireType(t, w.GetWorkflowError(), ErrorRolledBack)
	require.Equal(t, "a webhook refuses it", activities.FailureOf(w.GetWorkflowError()).Message)
	require.Equal(t, []string{"declare revision 2", "declare revision 1", "finish revision 1"}, w.all())
}

// What a watch of the way there tells late says nothing of the way back.
func TestASupervisedRolloutHearsNoLateNewsOfTheWayThere(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2, strategy: schemas.Strategy{ProgressDeadlineSeconds: 30}}
	looked := make(chan struct{})
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		select {
		case <-looked: // the deadline is over
			return seen, fault(activities.Unhealthy, "web", "it crashed")
		default:
			return seen, still
		}
	}
	p.register(w)
	w.OnActivity(activities.NameInspectReplicas, mock.Anything, mock.Anything).Return(func(ctx context.Context, _ activities.ComputeInput) (activities.InspectOutput, error) {
		if activity.GetInfo(ctx).Attempt == 1 {
			close(looked)
			return activities.InspectOutput{}, fault(activities.Unavailable, "web", "not now")
		}
		return activities.InspectOutput{}, nil
	})
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	requireType(t, w.GetWorkflowError(), ErrorRolledBack)
	require.NotContains(t, activities.FailureOf(w.GetWorkflowError()).Message, "it crashed")
}

func TestASupervisedRolloutThatFailsStaysWhereItIsWhereItIsToBeKept(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 3}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		if seen.Available == 1 {
			return seen, fault(activities.Unhealthy, "web", "pod web-1 crashed")
		}
		return p.next(seen), nil
	}
	p.register(w)
	in := supervisedInput()
	in.GoesBack = false
	w.ExecuteWorkflow(NameRollout, in)
	requireType(t, w.GetWorkflowError(), ErrorFailed)
	require.Equal(t, []string{"declare revision 2", "declare revision 2 paused"}, w.all())
	require.Contains(t, w.told(), "rollout.failed")
}

func TestASupervisedRolloutIsWatchedAfterItIsComplete(t *testing.T) {
	monitored := func(watch func() error) (*world, *place) {
		w, p := newWorld(t), &place{replicas: 2, strategy: schemas.Strategy{Monitor: quantity.Duration(time.Minute)}}
		p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
			if seen.Complete {
				return seen, watch()
			}
			return p.next(seen), nil
		}
		p.register(w)
		return w, p
	}
	t.Run("and goes back when a replica fails", func(t *testing.T) {
		w, _ := monitored(func() error { return fault(activities.Unhealthy, "web", "pod web-1 was ready and is not any more") })
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		requireType(t, w.GetWorkflowError(), ErrorRolledBack)
		require.Contains(t, activities.FailureOf(w.GetWorkflowError()).Message, "was ready")
	})
	t.Run("until it is promoted", func(t *testing.T) {
		w, _ := monitored(func() error { return still })
		begin := w.Now()
		w.sendOrder(10*time.Second, 3, schemas.RolloutPromote)
		w.ExecuteWorkflow(NameRollout, supervisedInput())
		require.NoError(t, w.GetWorkflowError())
		require.Less(t, w.Now().Sub(begin), 30*time.Second)
	})
}

func TestAnOrderThatCannotBeIsRejected(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) { return seen, still }
	p.register(w)
	w.sendOrder(time.Second, 3, schemas.RolloutPromote)
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.Contains(t, w.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason, "waits for nothing that could be promoted")
}

func TestASupervisedRolloutThatIsCancelledBeforeItBeganTellsThePlaceNothing(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2}
	p.register(w)
	w.OnActivity(activities.NameLookUpVersions, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.SurveyInput) (activities.VersionsOutput, error) {
		w.CancelWorkflow()
		return activities.VersionsOutput{Target: rollout.Version{Set: "new"}}, nil
	})
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.True(t, temporal.IsCanceledError(w.GetWorkflowError()), "%v", w.GetWorkflowError())
	require.Empty(t, w.all())
}

func TestPausingASupervisedRolloutPausesItsPlace(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2, strategy: schemas.Strategy{ProgressDeadlineSeconds: 30}}
	paused := false
	p.declare = func(in activities.DeclareInput) error { paused = in.Paused; return nil }
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		if paused || seen.Available == 0 && !w.did("declare revision 2 paused") {
			return seen, still
		}
		return p.next(seen), nil
	}
	p.register(w)
	w.sendOrder(time.Second, 3, schemas.RolloutPause)
	w.sendOrder(time.Minute, 4, schemas.RolloutResume)
	w.ExecuteWorkflow(NameRollout, supervisedInput())
	require.NoError(t, w.GetWorkflowError(), "a pause is held against no deadline")
	require.Equal(t, []string{"declare revision 2", "declare revision 2 paused", "declare revision 2", "finish revision 2"}, w.all())
	require.Contains(t, w.told(), "rollout.paused")
}

func TestACancelledSupervisedRolloutLeavesThePlacePaused(t *testing.T) {
	w, p := newWorld(t), &place{replicas: 2}
	p.watch = func(_ context.Context, seen supervision.Exchange) (supervision.Exchange, error) {
		return seen, still
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
				return seen, still
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
