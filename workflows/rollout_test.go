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
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// fleet stands in for a container engine with the replicas of one Compute, behind a
// proxy: the old version has the set "old", the new one "new".
type fleet struct {
	strategy schemas.Strategy
	replicas int
	// there are the names of the replicas, with whether requests go to them.
	there map[string]bool
	// start is what making a replica of the new version comes to, its image included, and
	// await what waiting for it does.
	start func(ctx context.Context, index int) error
	await func(ctx context.Context, index int) error
	// unwatched ends the watch at once: while an activity runs, a test's time stands still.
	unwatched bool
	most      int
}

func newFleet(replicas int, strategy schemas.Strategy) *fleet {
	f := &fleet{strategy: strategy, replicas: replicas, there: map[string]bool{}}
	for i := range replicas {
		f.there[fmt.Sprintf("old/%d", i)] = true
	}
	return f
}

// register has the world's activities for replicas work on the fleet.
func (f *fleet) register(w *world) {
	set := func(in activities.Revision) string { return map[int]string{1: "old", 2: "new"}[in.Number] }
	change := func(note string, what func()) {
		w.mutex.Lock()
		what()
		f.most = max(f.most, len(f.there))
		w.mutex.Unlock()
		w.note(note)
	}
	for name, function := range map[string]any{
		activities.NameSurvey: func(_ context.Context, in activities.SurveyInput) (activities.SurveyOutput, error) {
			out := activities.SurveyOutput{Strategy: f.strategy.WithDefaults(), Target: rollout.Version{Set: "new", Replicas: f.replicas}, Found: activities.Survey{Balanced: true}}
			if in.Stable.Number > 0 {
				out.Stable = rollout.Version{Set: "old", Replicas: f.replicas}
			}
			for i := range f.replicas {
				out.Found.Replicas = append(out.Found.Replicas, activities.ReplicaReport{Set: "old", Index: i, Name: fmt.Sprintf("old/%d", i), Available: true, Routed: true})
			}
			return out, nil
		},
		activities.NameStart: func(ctx context.Context, in activities.ReplicaInput) (activities.StartOutput, error) {
			name := fmt.Sprintf("%s/%d", set(in.Revision), in.Index)
			if f.start != nil && in.Revision.Number == 2 {
				if err := f.start(ctx, in.Index); err != nil {
					return activities.StartOutput{}, err
				}
			}
			change("start "+name, func() { f.there[name] = false })
			return activities.StartOutput{Name: name}, nil
		},
		activities.NameAwait: func(ctx context.Context, in activities.ReplicaInput) error {
			if f.await != nil && in.Revision.Number == 2 {
				return f.await(ctx, in.Index)
			}
			return nil
		},
		activities.NameOversee: func(ctx context.Context, _ activities.OverseeInput) (activities.OverseeOutput, error) {
			if f.unwatched {
				return activities.OverseeOutput{}, fault(activities.Invalid, "web", "nobody watches")
			}
			<-ctx.Done()
			return activities.OverseeOutput{}, ctx.Err()
		},
		activities.NameRoute: func(_ context.Context, in activities.RouteInput) error {
			change(fmt.Sprintf("route +%v -%v", in.Routing.Join, in.Routing.Leave), func() {
				for _, name := range in.Routing.Join {
					f.there[name] = true
				}
				for _, name := range in.Routing.Leave {
					f.there[name] = false
				}
			})
			return nil
		},
		activities.NameDrain: func(_ context.Context, in activities.ReplicaInput) error {
			w.note("drain " + in.Name)
			return nil
		},
		activities.NameRemove: func(_ context.Context, in activities.ReplicaInput) error {
			w.mutex.Lock()
			routed := f.there[in.Name]
			w.mutex.Unlock()
			if routed {
				return errors.New(in.Name + " is removed while it gets requests")
			}
			change("remove "+in.Name, func() { delete(f.there, in.Name) })
			return nil
		},
		activities.NameSetAside: func(_ context.Context, in activities.ReplicaInput) (activities.SetAsideOutput, error) {
			name := fmt.Sprintf("%s/%d", set(in.Revision), in.Index)
			change("set aside "+name, func() { delete(f.there, name) })
			return activities.SetAsideOutput{Evidence: &schemas.Evidence{Container: name}}, nil
		},
		activities.NameSettle: func(_ context.Context, in activities.ComputeInput) (activities.ApplyOutput, error) {
			w.note("settle " + set(in.Revision))
			return activities.ApplyOutput{Outputs: schemas.Outputs{"name": "web"}}, nil
		},
	} {
		w.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
	w.RegisterWorkflowWithOptions(Rollout, workflow.RegisterOptions{Name: NameRollout})
}

func one() *quantity.Portion {
	p := quantity.Count(1)
	return &p
}

func rolloutInput() RolloutInput {
	return RolloutInput{
		Command: command(1), Deployment: 2, Target: activities.Revision{Number: 2, Reference: "document-b"},
		Stable: activities.Revision{Number: 1, Reference: "document-a"}, Resource: "web", GoesBack: true,
	}
}

func TestARolloutRunsItsStepsInTheirOrder(t *testing.T) {
	w, f := newWorld(t), newFleet(2, schemas.Strategy{MaxSurge: one()})
	f.register(w)
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	var out RolloutOutput
	require.NoError(t, w.GetWorkflowResult(&out))
	require.Equal(t, schemas.Outputs{"name": "web"}, out.Outputs)
	require.Equal(t, []string{
		"start new/0", "route +[new/0] -[old/0]", "drain old/0", "remove old/0",
		"start new/1", "route +[new/1] -[old/1]", "drain old/1", "remove old/1", "settle new",
	}, w.all())
	told := w.told()
	require.Equal(t, "rollout.started", told[0])
	require.Equal(t, "rollout.succeeded", told[len(told)-1])
	last := w.last(t, schemas.StatusRolloutSucceeded)
	require.Equal(t, "/windlass/staging/users/rollouts/web", last.Source)
	require.Equal(t, "id-b", last.CausationID)
	require.Equal(t, 2, last.Rollout.Sets[0].Serving)
}

// What the web UI shows of a rollout that runs is its metadata, which a query answers.
func TestARolloutShowsWhereItStands(t *testing.T) {
	w, f := newWorld(t), newFleet(2, schemas.Strategy{MaxSurge: one()})
	var shown []string
	f.await = func(context.Context, int) error {
		answer, err := w.QueryWorkflow("__temporal_workflow_metadata")
		if err != nil {
			return err
		}
		var metadata sdk.WorkflowMetadata
		if err := answer.Get(&metadata); err != nil {
			return err
		}
		w.mutex.Lock()
		defer w.mutex.Unlock()
		shown = append(shown, metadata.CurrentDetails)
		return nil
	}
	f.register(w)
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, shown, 2)
	for _, part := range []string{"RollingUpdate of web to revision 2: Progressing", "2 declared", "replica 0: starting"} {
		require.Contains(t, shown[0], part)
	}
}

func TestARolloutThatFailsGoesBackAndSaysWhy(t *testing.T) {
	w, f := newWorld(t), newFleet(2, schemas.Strategy{MaxSurge: one()})
	f.await = func(_ context.Context, index int) error {
		if index == 1 {
			return fault(activities.Unhealthy, "web", "replica 1 crashed")
		}
		return nil
	}
	f.register(w)
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	err := w.GetWorkflowError()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, ErrorRolledBack, failed.Type())
	require.Equal(t, "replica 1 crashed", activities.FailureOf(err).Message)
	require.Equal(t, "new/1", activities.FailureOf(err).Evidence.Container)
	require.True(t, w.did("settle old"))
	require.Equal(t, map[string]bool{"old/0": true, "old/1": true}, f.there)
}

// A thousand replicas do not outgrow a history: the rollout goes on in new runs.
func TestALongRolloutGoesOnInNewRuns(t *testing.T) {
	const replicas = 60
	f := newFleet(replicas, schemas.Strategy{MaxSurge: one()})
	in, runs, told := rolloutInput(), 0, 0
	for ; ; runs++ {
		w := newWorld(t)
		f.register(w)
		w.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
			if len(w.all()) > 40 {
				w.SetCurrentHistoryLength(longHistory + 1)
			}
		})
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
	require.Len(t, f.there, replicas)
	for name, routed := range f.there {
		require.True(t, routed, name)
	}
	require.Equal(t, replicas+1, f.most)
}

// later ends an activity after some time of the test; never where that is 0.
func (w *world) later(ctx context.Context, after time.Duration) error {
	token := activity.GetInfo(ctx).TaskToken
	if after > 0 {
		w.RegisterDelayedCallback(func() { _ = w.CompleteActivity(token, nil, nil) }, after)
	}
	return activity.ErrResultPending
}

// The progress deadline begins anew with each replica that becomes available, covers what
// comes before a replica is there, and stands still while the rollout is paused.
func TestTheProgressDeadline(t *testing.T) {
	never := func(w *world) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error { return w.later(ctx, 0) }
	}
	tests := map[string]struct {
		start, await func(w *world) func(context.Context, int) error
		// pause and resume are when somebody asks for that; 0 is never.
		pause, resume time.Duration
		// passes is when the deadline ends the rollout; 0 is never.
		passes time.Duration
	}{
		"a replica that does not become available": {await: never, passes: time.Minute},
		"an image that does not come":              {start: never, passes: time.Minute},
		"each in time, all of them later": {await: func(w *world) func(context.Context, int) error {
			return func(ctx context.Context, _ int) error { return w.later(ctx, 45*time.Second) }
		}},
		"the last one too late": {await: func(w *world) func(context.Context, int) error {
			return func(ctx context.Context, index int) error {
				return w.later(ctx, []time.Duration{45 * time.Second, 45 * time.Second, 0}[index])
			}
		}, passes: 150 * time.Second},
		"a pause leaves what there was": {await: never, pause: 20 * time.Second, resume: time.Hour, passes: time.Hour + 40*time.Second},
		"a start that a pause covers": {await: func(w *world) func(context.Context, int) error {
			return func(ctx context.Context, index int) error {
				return w.later(ctx, []time.Duration{time.Hour, time.Second, time.Second}[index])
			}
		}, pause: 20 * time.Second, resume: time.Hour + 10*time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, f := newWorld(t), newFleet(3, schemas.Strategy{MaxSurge: one(), ProgressDeadlineSeconds: 60})
			f.unwatched = true
			if test.start != nil {
				f.start = test.start(w)
			}
			if test.await != nil {
				f.await = test.await(w)
			}
			f.register(w)
			for order, at := range map[schemas.RolloutOrder]time.Duration{schemas.RolloutPause: test.pause, schemas.RolloutResume: test.resume} {
				if at > 0 {
					w.RegisterDelayedCallback(func() {
						w.SignalWorkflow(SignalOrder, schemas.CommandReference{ID: "id-" + string(order), Order: order, Source: "somebody"})
					}, at)
				}
			}
			began, passed := time.Now(), time.Duration(0)
			w.SetStartTime(began)
			w.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				if info.ActivityType.Name == activities.NameSetAside {
					passed = w.Now().Sub(began)
				}
			})
			w.ExecuteWorkflow(NameRollout, rolloutInput())
			if test.passes == 0 {
				require.NoError(t, w.GetWorkflowError())
				return
			}
			require.Equal(t, rollout.KindDeadline, activities.FailureOf(w.GetWorkflowError()).Kind)
			require.InDelta(t, test.passes.Seconds(), passed.Seconds(), 1)
			require.True(t, w.did("settle old"))
		})
	}
}

// longFrom has the history be long from when an activity for a replica begins.
func (w *world) longFrom(name string, index int) {
	w.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, arguments converter.EncodedValues) {
		var in activities.ReplicaInput
		if info.ActivityType.Name == name && arguments.Get(&in) == nil && in.Index == index {
			w.SetCurrentHistoryLength(longHistory + 1)
		}
	})
}

// A start that hangs keeps no run from going on in a new one, which begins the start again
// and meets the deadline and the orders that there are.
func TestAReplicaThatHangsHoldsUpNoNewRun(t *testing.T) {
	three := quantity.Count(3)
	tests := map[string]struct {
		// order comes to the second run, and hangs says that the start does there too.
		order schemas.RolloutOrder
		hangs bool
		kind  string
	}{
		"the start is begun again":  {"", false, ""},
		"the deadline ends it":      {"", true, rollout.KindDeadline},
		"the rollout is broken off": {schemas.RolloutAbort, true, rollout.KindAborted},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFleet(4, schemas.Strategy{MaxSurge: &three, ProgressDeadlineSeconds: 60})
			f.unwatched = true
			w := newWorld(t)
			f.await = func(ctx context.Context, index int) error {
				if index != 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
			f.register(w)
			w.longFrom(activities.NameAwait, 1)
			w.ExecuteWorkflow(NameRollout, rolloutInput())
			var again *workflow.ContinueAsNewError
			require.ErrorAs(t, w.GetWorkflowError(), &again)
			in := RolloutInput{}
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
			require.Zero(t, in.State.Failures)
			require.False(t, in.State.Deadline.IsZero(), "it goes on")

			w, f = newWorld(t), newFleet(0, f.strategy)
			f.unwatched = true
			for _, m := range in.State.Members {
				f.there[m.Name] = m.Routed
			}
			w.SetStartTime(in.State.Deadline.Add(-30 * time.Second))
			f.await = func(ctx context.Context, index int) error {
				if index != 1 || !test.hangs {
					return nil
				}
				return activity.ErrResultPending // and its time goes on
			}
			f.register(w)
			if test.order != "" {
				w.RegisterDelayedCallback(func() {
					w.SignalWorkflow(SignalOrder, schemas.CommandReference{ID: "id-order", Order: test.order, Source: "somebody"})
				}, time.Second)
			}
			w.ExecuteWorkflow(NameRollout, in)
			if test.kind == "" {
				require.NoError(t, w.GetWorkflowError())
				return
			}
			require.Equal(t, test.kind, activities.FailureOf(w.GetWorkflowError()).Kind)
			require.True(t, w.did("settle old"))
		})
	}
}

// Neither does a removal that hangs.
func TestARemovalThatHangsHoldsUpNoNewRun(t *testing.T) {
	w, f := newWorld(t), newFleet(2, schemas.Strategy{MaxSurge: one()})
	f.register(w)
	w.longFrom(activities.NameRemove, 0)
	w.OnActivity(activities.NameRemove, mock.Anything, mock.Anything).Return(func(ctx context.Context, _ activities.ReplicaInput) error {
		<-ctx.Done()
		return ctx.Err()
	}).Once()
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.GetWorkflowError(), &again)
	in := RolloutInput{}
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))

	w, f = newWorld(t), newFleet(2, f.strategy)
	f.there = map[string]bool{"new/0": true, "old/0": false, "old/1": true}
	f.register(w)
	w.ExecuteWorkflow(NameRollout, in)
	require.NoError(t, w.GetWorkflowError())
	require.True(t, w.did("remove old/0"), "it is begun again")
	require.Equal(t, map[string]bool{"new/0": true, "new/1": true}, f.there)
}

// A watch that no retry mends is begun again: what broke off unseen is seen then.
func TestReplicasAreWatchedAgainAfterAWatchThatFailed(t *testing.T) {
	w, f := newWorld(t), newFleet(1, schemas.Strategy{MaxSurge: one(), Monitor: quantity.Duration(time.Hour)})
	f.register(w)
	watches := 0
	w.OnActivity(activities.NameOversee, mock.Anything, mock.Anything).Return(func(context.Context, activities.OverseeInput) (activities.OverseeOutput, error) {
		if watches++; watches < 3 {
			return activities.OverseeOutput{}, fault(activities.Forbidden, "web", "it may not be watched")
		}
		return activities.OverseeOutput{Index: 0, Failure: schemas.Failure{Kind: "Unhealthy", Message: "it died unseen"}}, nil
	})
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	require.Equal(t, "it died unseen", activities.FailureOf(w.GetWorkflowError()).Message)
	require.GreaterOrEqual(t, watches, 3)
}

func TestACancelledRolloutStopsWhereItStands(t *testing.T) {
	w, f := newWorld(t), newFleet(2, schemas.Strategy{MaxSurge: one()})
	f.await = func(ctx context.Context, index int) error {
		if index == 0 {
			return nil
		}
		w.CancelWorkflow()
		<-ctx.Done()
		return ctx.Err()
	}
	f.register(w)
	w.ExecuteWorkflow(NameRollout, rolloutInput())
	require.True(t, temporal.IsCanceledError(w.GetWorkflowError()), "%v", w.GetWorkflowError())
	require.Equal(t, schemas.RolloutCancelled, w.last(t, schemas.StatusRolloutCancelled).Rollout.Phase)
	require.Equal(t, map[string]bool{"new/0": true, "new/1": false, "old/1": true}, f.there)
}

// moving is a plan that moves the replicas of a Compute.
func moving(timeout time.Duration) activities.PlanOutput {
	o := create("web")
	o.ID, o.Action, o.Type, o.Rollout, o.Timeout = "update web", schemas.ActionUpdate, schemas.TypeCompute, schemas.StrategyRollingUpdate, quantity.Duration(timeout)
	return planOf(schemas.OnFailureKeep, o)
}

func TestADeploymentMovesReplicasByARollout(t *testing.T) {
	w, f := newWorld(t), newFleet(1, schemas.Strategy{MaxSurge: one()})
	f.register(w)
	w.plans[2] = moving(0)
	require.NoError(t, w.deploy(1))
	require.True(t, w.did("settle new"))
	require.False(t, slices.ContainsFunc(w.all(), func(s string) bool { return s == "apply web of 2" }))
	require.Equal(t, schemas.Outputs{"name": "web"}, w.last(t, schemas.StatusResourceReady).Resource.Outputs)
}

func TestARolloutIsInNoBatchOfALargePlan(t *testing.T) {
	w, f := newWorld(t), newFleet(1, schemas.Strategy{MaxSurge: one()})
	f.register(w)
	p := moving(0)
	for i := range largePlan + 1 {
		p.Operations = append(p.Operations, create(fmt.Sprintf("net%d", i)))
	}
	w.plans[2] = p
	require.NoError(t, w.deploy(1))
	require.NotEmpty(t, w.batches)
	require.True(t, w.did("settle new"))
}

func TestARolloutThatTakesLongerThanItsTimeoutFails(t *testing.T) {
	w, f := newWorld(t), newFleet(1, schemas.Strategy{MaxSurge: one()})
	f.unwatched = true
	f.await = func(context.Context, int) error {
		return fault(activities.Unavailable, "web", "the engine does not answer")
	}
	f.register(w)
	w.plans[2] = moving(time.Minute)
	require.Error(t, w.deploy(1))
	failure := w.last(t, schemas.StatusResourceFailed).Resource.Error
	require.Equal(t, "TimedOut", failure.Kind)
	require.Equal(t, "timeouts.update", failure.Field)
}

func TestAnOrderToNoRolloutIsRejected(t *testing.T) {
	w, f := newWorld(t), newFleet(1, schemas.Strategy{MaxSurge: one()})
	f.register(w)
	w.RegisterDelayedCallback(func() {
		order := command(3)
		order.Type, order.Order, order.Resource = schemas.CommandRolloutPause, schemas.RolloutPause, "web"
		w.SignalWorkflow(SignalCommand, order)
	}, time.Second)
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	w.ExecuteWorkflow(NameInfrastructure, InfrastructureInput{Scope: users})
	require.Contains(t, w.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason, "no rollout of web in staging/users runs")
}
