package workflows

import (
	"context"
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
	"windlass/plan"
	"windlass/schemas"
)

// engine stands in for a container engine. What happens while a container is watched
// is scripted: a condition that it gets into, a command that comes, or the end of the
// test's history.
type engine struct {
	*world
	script []any
	runs   int
	// fail is what an activity ends with, by its name.
	fail map[string]error
	// during is called while an activity runs, by its name.
	during map[string]func(ctx context.Context) error
}

// historyEnds is a moment at which the run has to go on as a new one.
type historyEnds struct{}

func newEngine(t *testing.T, script ...any) *engine {
	e := &engine{world: newWorld(t), script: script, fail: map[string]error{}, during: map[string]func(context.Context) error{}}
	for name, state := range map[string]plan.ContainerState{
		activities.NameCreateContainer: plan.ContainerCreated, activities.NameStartContainer: plan.ContainerRunning,
		activities.NameStopContainer: plan.ContainerStopped, activities.NamePauseContainer: plan.ContainerPaused,
		activities.NameResumeContainer: plan.ContainerRunning,
	} {
		e.RegisterActivityWithOptions(func(ctx context.Context, in activities.ContainerInput) (activities.ContainerOutput, error) {
			e.note(fmt.Sprintf("%s %s", name, in.Revision.Reference))
			if during := e.during[name]; during != nil {
				if err := during(ctx); err != nil {
					return activities.ContainerOutput{}, err
				}
			}
			return activities.ContainerOutput{Condition: e.condition(state)}, e.fail[name]
		}, activity.RegisterOptions{Name: name})
	}
	e.RegisterActivityWithOptions(e.watching, activity.RegisterOptions{Name: activities.NameWatchContainer})
	e.RegisterWorkflowWithOptions(ContainerLifecycle, workflow.RegisterOptions{Name: NameContainer})
	return e
}

// condition is that of a container that is not looked at; each start is a run of its own.
func (e *engine) condition(state plan.ContainerState) activities.ContainerCondition {
	c := activities.ContainerCondition{ID: "id", Name: "name", Image: "image", State: state, Health: plan.HealthNone}
	if c.Up() {
		c.Health = plan.HealthStarting
	}
	if state == plan.ContainerRunning {
		e.runs++
	}
	c.StartedAt = time.Unix(int64(e.runs), 0)
	return c
}

func (e *engine) watching(ctx context.Context, in activities.ContainerInput) (activities.ContainerOutput, error) {
	if len(e.script) == 0 {
		e.CancelWorkflow()
		<-ctx.Done()
		return activities.ContainerOutput{}, ctx.Err()
	}
	next := e.script[0]
	e.script = e.script[1:]
	switch next := next.(type) {
	case func(known activities.ContainerCondition) activities.ContainerOutput:
		return next(in.Known), nil
	case schemas.CommandReference:
		e.SignalWorkflow(SignalCommand, next)
	case historyEnds:
		e.SetCurrentHistoryLength(longHistory + 1)
		return activities.ContainerOutput{Condition: in.Known}, nil
	case error:
		return activities.ContainerOutput{}, next
	}
	<-ctx.Done()
	return activities.ContainerOutput{}, ctx.Err()
}

// live runs the life cycle, which begins with a command.
func (e *engine) live(t *testing.T, first schemas.CommandReference) error {
	t.Helper()
	e.RegisterDelayedCallback(func() { e.SignalWorkflow(SignalCommand, first) }, 0)
	e.ExecuteWorkflow(NameContainer, ContainerInput{Scope: users})
	require.True(t, e.IsWorkflowCompleted())
	return e.GetWorkflowError()
}

// the returns what changes a known condition.
func the(change func(*activities.ContainerOutput)) func(activities.ContainerCondition) activities.ContainerOutput {
	return func(known activities.ContainerCondition) activities.ContainerOutput {
		out := activities.ContainerOutput{Condition: known}
		change(&out)
		return out
	}
}

func turns(health plan.HealthState) func(activities.ContainerCondition) activities.ContainerOutput {
	return the(func(out *activities.ContainerOutput) {
		out.Condition.Health = health
		if health == plan.HealthUnhealthy {
			out.Failure = &schemas.Failure{Kind: "Unhealthy", Message: "the container failed 3 health checks in a row"}
		}
	})
}

func ends(state plan.ContainerState, code int) func(activities.ContainerCondition) activities.ContainerOutput {
	return the(func(out *activities.ContainerOutput) {
		out.Condition.State, out.Condition.Health, out.ExitCode = state, plan.HealthNone, &code
		if state == plan.ContainerRunning { // again
			out.Condition.Health, out.Condition.StartedAt = plan.HealthStarting, out.Condition.StartedAt.Add(time.Second)
		}
	})
}

var vanishes = the(func(out *activities.ContainerOutput) { out.Condition = activities.ContainerCondition{} })

func runCommand(n int, policy schemas.UnhealthyPolicy) schemas.CommandReference {
	c := order(n, schemas.CommandContainerRun)
	c.Container = &schemas.ContainerPolicy{}
	*c.Container = schemas.ContainerPolicy{UnhealthyPolicy: policy}.WithDefaults()
	return c
}

// moves are the container events in short, each with its cause where it has one.
func (e *engine) moves() []string {
	var moves []string
	for _, event := range e.published {
		if event.Container == nil {
			continue
		}
		move := schemas.ContainerMove(event.Type)
		if event.Container.Cause != "" {
			move += ": " + event.Container.Cause
		}
		moves = append(moves, move)
	}
	return moves
}

func TestAContainerLivesFromRunToRemove(t *testing.T) {
	e := newEngine(t,
		turns(plan.HealthHealthy), order(2, schemas.CommandContainerPause), order(3, schemas.CommandContainerResume), turns(plan.HealthHealthy),
		order(4, schemas.CommandContainerStop), order(5, schemas.CommandContainerStart), order(6, schemas.CommandContainerRestart),
		order(7, schemas.CommandContainerRemove),
	)
	require.NoError(t, e.live(t, runCommand(1, schemas.UnhealthyRestart)))
	require.Equal(t, []string{
		"created", "started", "healthy", "paused", "resumed", "healthy", "stopped", "started", "stopped", "started", "removed",
	}, e.moves())
	require.Equal(t, []string{
		"CreateContainer document-b", "StartContainer document-b", "PauseContainer document-b", "ResumeContainer document-b",
		"StopContainer document-b", "StartContainer document-b", "StopContainer document-b", "StartContainer document-b", "delete users",
	}, e.all())
	e.requireStory(t)
	healthy := e.last(t, schemas.StatusContainerHealthy)
	require.Equal(t, "/windlass/staging/users/container", healthy.Source)
	require.Equal(t, "id-d", healthy.CausationID)
	require.Equal(t, "container/staging/users", healthy.CorrelationID)
	require.Equal(t, &schemas.ContainerStatus{
		Environment: "staging", Container: "users", Provider: "docker", Image: "image", Name: "name", ID: "id",
		State: "Running", Health: "Healthy", Document: "document-b",
	}, healthy.Container)
	require.Empty(t, e.last(t, schemas.StatusContainerRemoved).Container.ID)
}

func TestWhatBecomesOfAContainerByItselfIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		script []any
		want   []string
	}{
		"it ends and the engine restarts it": {[]any{ends(plan.ContainerRunning, 3)}, []string{"exited", "started: the engine restarted it"}},
		"the engine takes its time":          {[]any{ends(plan.ContainerRestarting, 3), ends(plan.ContainerRunning, 0)}, []string{"exited", "started: the engine restarted it"}},
		"it ends for good":                   {[]any{ends(plan.ContainerExited, 3)}, []string{"exited"}},
		"somebody starts it again":           {[]any{ends(plan.ContainerStopped, 0), ends(plan.ContainerRunning, 0)}, []string{"exited", "started: by something else"}},
		"somebody pauses and resumes it": {[]any{
			the(func(out *activities.ContainerOutput) { out.Condition.State = plan.ContainerPaused }),
			the(func(out *activities.ContainerOutput) { out.Condition.State = plan.ContainerRunning }),
		}, []string{"paused: by something else", "resumed: by something else"}},
		"it turns unhealthy and recovers": {[]any{turns(plan.HealthHealthy), turns(plan.HealthUnhealthy), turns(plan.HealthHealthy)}, []string{"healthy", "unhealthy", "healthy"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, c.script...)
			require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
			require.Equal(t, append([]string{"created", "started"}, c.want...), e.moves())
			e.requireStory(t)
		})
	}
}

func TestTheUnhealthyPolicyActs(t *testing.T) {
	const cause, gone = ": it was unhealthy", ": it was gone"
	for name, c := range map[string]struct {
		policy schemas.UnhealthyPolicy
		what   any
		want   []string
	}{
		"none":                    {schemas.UnhealthyNone, turns(plan.HealthUnhealthy), []string{"unhealthy"}},
		"stop":                    {schemas.UnhealthyStop, turns(plan.HealthUnhealthy), []string{"unhealthy", "stopped" + cause}},
		"restart":                 {schemas.UnhealthyRestart, turns(plan.HealthUnhealthy), []string{"unhealthy", "stopped" + cause, "started" + cause}},
		"replace":                 {schemas.UnhealthyReplace, turns(plan.HealthUnhealthy), []string{"unhealthy", "removed" + cause, "created" + cause, "started" + cause}},
		"restart what is removed": {schemas.UnhealthyRestart, vanishes, []string{"removed: by something else", "created" + gone, "started" + gone}},
		"replace what is removed": {schemas.UnhealthyReplace, vanishes, []string{"removed: by something else", "created" + gone, "started" + gone}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, c.what)
			require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, c.policy))))
			require.Equal(t, append([]string{"created", "started"}, c.want...), e.moves())
			e.requireStory(t)
		})
	}
	for _, policy := range []schemas.UnhealthyPolicy{schemas.UnhealthyNone, schemas.UnhealthyStop} {
		t.Run(string(policy)+" lets what is removed go", func(t *testing.T) {
			e := newEngine(t, vanishes)
			require.NoError(t, e.live(t, runCommand(1, policy)))
			require.Equal(t, []string{"created", "started", "removed: by something else"}, e.moves())
		})
	}
}

// carried runs the life cycle until it goes on as a new run.
func (e *engine) carried(t *testing.T, first schemas.CommandReference) ContainerInput {
	t.Helper()
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, e.live(t, first), &again)
	require.Equal(t, NameContainer, again.WorkflowType.Name)
	var in ContainerInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	return in
}

func TestTheSecondRestartInARowWaits(t *testing.T) {
	unhealthy := turns(plan.HealthUnhealthy)
	long := func(e *engine) any {
		return func(known activities.ContainerCondition) activities.ContainerOutput {
			e.SetCurrentHistoryLength(longHistory + 1)
			return unhealthy(known)
		}
	}
	e := newEngine(t, unhealthy)
	e.script = append(e.script, long(e).(func(activities.ContainerCondition) activities.ContainerOutput))
	in := e.carried(t, runCommand(1, schemas.UnhealthyRestart))
	require.Equal(t, 1, in.Restarts)
	told := e.last(t, schemas.StatusContainerUnhealthy)
	require.Equal(t, time.Second, in.Due.Sub(told.Time), "the first was at once, the second has to wait")

	// Nothing of it is lost in the next run, which waits for the rest and acts.
	next := newEngine(t)
	next.SetStartTime(in.Due.Add(time.Second))
	next.ExecuteWorkflow(NameContainer, in)
	require.Equal(t, []string{"stopped: it was unhealthy", "started: it was unhealthy"}, next.moves())
	require.Greater(t, next.published[0].Sequence, told.Sequence)

	// One that was healthy for long enough begins again.
	in.HealthySince = in.Due.Add(-time.Hour)
	in.Due = time.Time{}
	healthy := newEngine(t)
	healthy.script = append(healthy.script, long(healthy).(func(activities.ContainerCondition) activities.ContainerOutput))
	in.Known.Health = plan.HealthHealthy
	healthy.SetStartTime(told.Time)
	healthy.ExecuteWorkflow(NameContainer, in)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, healthy.GetWorkflowError(), &again)
	var after ContainerInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &after))
	require.Zero(t, after.Restarts)
	require.Equal(t, healthy.last(t, schemas.StatusContainerUnhealthy).Time, after.Due.UTC())
}

func TestAPolicyThatCouldNotActTriesAgain(t *testing.T) {
	for _, policy := range []schemas.UnhealthyPolicy{schemas.UnhealthyRestart, schemas.UnhealthyReplace, schemas.UnhealthyStop} {
		t.Run(string(policy), func(t *testing.T) {
			e := newEngine(t, turns(plan.HealthUnhealthy), historyEnds{})
			broken := map[schemas.UnhealthyPolicy]string{
				schemas.UnhealthyRestart: activities.NameStartContainer, schemas.UnhealthyReplace: activities.NameCreateContainer, schemas.UnhealthyStop: activities.NameStopContainer,
			}[policy]
			calls := 0
			e.during[broken] = func(context.Context) error {
				if calls++; calls == 1 && policy != schemas.UnhealthyStop {
					return nil // that of the command
				}
				e.SetCurrentHistoryLength(longHistory + 1)
				return fault(activities.Conflict, "users", "the port is taken")
			}
			in := e.carried(t, runCommand(1, policy))
			failed := e.last(t, schemas.StatusContainerFailed)
			require.Equal(t, "the port is taken", failed.Container.Error.Message)
			require.Equal(t, time.Second, in.Due.Sub(failed.Time))
		})
	}
}

// A run that has ended takes what was wrong with it along.
func TestARestartByTheEngineIsEnough(t *testing.T) {
	e := newEngine(t, turns(plan.HealthUnhealthy), turns(plan.HealthUnhealthy), ends(plan.ContainerRunning, 3), historyEnds{})
	in := e.carried(t, runCommand(1, schemas.UnhealthyRestart))
	require.Equal(t, 1, in.Restarts)
	require.Zero(t, in.Due)
	moves := e.moves()
	require.Equal(t, []string{"exited", "started: the engine restarted it"}, moves[len(moves)-2:])
}

func TestALongLifeGoesOnInANewRun(t *testing.T) {
	e := newEngine(t, turns(plan.HealthHealthy), historyEnds{})
	in := e.carried(t, runCommand(1, schemas.UnhealthyNone))
	require.Equal(t, plan.HealthHealthy, in.Known.Health)
	require.Equal(t, activities.Revision{Number: 1, Reference: "document-b"}, in.Revision)
	next := newEngine(t, order(1, schemas.CommandContainerRun), order(2, schemas.CommandContainerRemove))
	next.script[0] = runCommand(1, schemas.UnhealthyNone) // a copy of the first command
	next.script = slices.Insert(next.script, 1, any(turns(plan.HealthUnhealthy)))
	next.ExecuteWorkflow(NameContainer, in)
	require.NoError(t, next.GetWorkflowError())
	require.Equal(t, []string{"unhealthy", "removed"}, next.moves())
}

func TestACommandThatCannotBeServedIsRejected(t *testing.T) {
	e := newEngine(t)
	require.NoError(t, e.live(t, order(1, schemas.CommandContainerStop)))
	require.Contains(t, e.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason, "no container staging/users is known; run it first")
	require.Len(t, e.rejected, 1)
	require.Empty(t, e.all())

	e = newEngine(t, order(2, schemas.CommandContainerResume), order(3, schemas.CommandContainerStop), order(4, schemas.CommandContainerPause))
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	require.Len(t, e.rejected, 2)
	require.Contains(t, e.last(t, schemas.StatusCommandRejected).Command.Faults[0].Reason, "staging/users does not run: it is Stopped")
}

func TestARunThatFailsSaysWhyAndLeavesWhatWasThere(t *testing.T) {
	e := newEngine(t)
	e.fail[activities.NameCreateContainer] = fault(activities.NotFound, "users", "there is no such image")
	require.NoError(t, e.live(t, runCommand(1, schemas.UnhealthyNone)), "nothing is there to look after")
	require.Equal(t, []string{"failed"}, e.moves())
	require.Equal(t, "there is no such image", e.last(t, schemas.StatusContainerFailed).Container.Error.Message)
	require.Equal(t, []string{"CreateContainer document-b", "delete users"}, e.all(), "what an init step left is removed")

	for _, broken := range []string{activities.NameCreateContainer, activities.NameStartContainer} {
		t.Run(broken, func(t *testing.T) {
			e := newEngine(t, runCommand(2, schemas.UnhealthyNone), order(3, schemas.CommandContainerStop))
			e.during[activities.NameStopContainer] = func(context.Context) error { delete(e.fail, broken); return nil }
			e.during[activities.NameStartContainer] = func(context.Context) error {
				e.fail[broken] = fault(activities.Conflict, "users", "the port is taken")
				return nil
			}
			first := true
			if broken == activities.NameStartContainer {
				e.during[activities.NameStartContainer] = func(context.Context) error {
					if !first {
						e.fail[broken] = fault(activities.Conflict, "users", "the port is taken")
					}
					first = false
					return nil
				}
			}
			require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
			require.Equal(t, "the port is taken", e.last(t, schemas.StatusContainerFailed).Container.Error.Message)
			require.True(t, e.did("StopContainer document-b"), "the former one is in charge: %v", e.all())
			if broken == activities.NameStartContainer {
				all := e.all()
				require.Equal(t, []string{"StartContainer document-c", "StartContainer document-b"}, all[len(all)-3:len(all)-1], "the former one is not started again")
			}
		})
	}
}

func TestANewerRunBreaksOffWhatIsUnderWay(t *testing.T) {
	e := newEngine(t)
	hanging := true
	e.during[activities.NameCreateContainer] = func(ctx context.Context) error {
		if !hanging {
			return nil
		}
		hanging = false
		e.SignalWorkflow(SignalCommand, order(2, schemas.CommandContainerStop)) // breaks nothing off
		e.SignalWorkflow(SignalCommand, runCommand(3, schemas.UnhealthyNone))
		<-ctx.Done()
		return ctx.Err()
	}
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	superseded := map[string]string{}
	for _, event := range e.published {
		if event.Type == schemas.StatusCommandSuperseded {
			superseded[event.CausationID] = event.Command.SupersededBy
		}
	}
	require.Equal(t, map[string]string{"id-b": "id-d", "id-c": "id-d"}, superseded)
	require.True(t, e.did("StartContainer document-d"))
	require.False(t, e.did("StartContainer document-b"))
}

func TestARemovalIsServedToItsEndBeforeTheNextRun(t *testing.T) {
	e := newEngine(t, order(2, schemas.CommandContainerRemove))
	e.remove = func(activities.DeleteInput) error {
		e.SignalWorkflow(SignalCommand, runCommand(3, schemas.UnhealthyNone))
		return nil
	}
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	require.Equal(t, []string{"created", "started", "removed", "created", "started"}, e.moves())
}

// A container that moves to another provider leaves nothing at the former one.
func TestTheFormerProviderIsLeftEmpty(t *testing.T) {
	elsewhere := runCommand(2, schemas.UnhealthyNone)
	elsewhere.Container.Provider = "edge"
	e := newEngine(t, elsewhere)
	var from string
	e.remove = func(in activities.DeleteInput) error {
		from = in.Provider
		return nil
	}
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	require.Equal(t, "docker", from)
	require.Equal(t, "edge", e.last(t, schemas.StatusContainerStarted).Container.Provider)
}

func TestAContainerThatCannotBeWatchedIsToldOnce(t *testing.T) {
	e := newEngine(t, fault(activities.NotFound, "users", "the revision is gone"))
	e.RegisterDelayedCallback(e.CancelWorkflow, time.Hour)
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	require.Equal(t, []string{"created", "started", "failed: it is not watched any more, until the next command"}, e.moves())
}

func TestACommandThatComesLateIsSuperseded(t *testing.T) {
	e := newEngine(t, order(3, schemas.CommandContainerStop), order(2, schemas.CommandContainerStart))
	require.True(t, temporal.IsCanceledError(e.live(t, runCommand(1, schemas.UnhealthyNone))))
	require.Equal(t, []string{"created", "started", "stopped"}, e.moves())
	require.Equal(t, "id-d", e.last(t, schemas.StatusCommandSuperseded).Command.SupersededBy)
}
