package docker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

// newSingleLab is a lab for single containers, with an environment of its own.
func newSingleLab(t *testing.T) *lab {
	l := newLab(t)
	l.scope.Environment, l.scope.Infrastructure = l.scope.Infrastructure, schemas.ContainersName
	return l
}

func (l *lab) single(d plan.Desired, move func(context.Context, plan.Desired, activities.Secrets, activities.Progress) (activities.ContainerCondition, error)) activities.ContainerCondition {
	l.Helper()
	now, err := move(l.Context(), d, l.secrets, l.spoken.say)
	require.NoError(l, err)
	return now
}

func TestAContainerIsMovedAndMovedAgainWithoutHarm(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	p := l.provider
	d := l.compute("one", schemas.Compute{Health: patientHTTP()})
	id := ""
	var runs time.Time
	for _, step := range []struct {
		move   func(context.Context, plan.Desired, activities.Secrets, activities.Progress) (activities.ContainerCondition, error)
		state  plan.ContainerState
		health plan.HealthState
	}{
		{p.CreateContainer, plan.ContainerCreated, plan.HealthNone},
		{p.StartContainer, plan.ContainerRunning, plan.HealthStarting},
		{p.PauseContainer, plan.ContainerPaused, plan.HealthStarting},
		{p.ResumeContainer, plan.ContainerRunning, plan.HealthStarting},
		{p.PauseContainer, plan.ContainerPaused, plan.HealthStarting},
		{p.StartContainer, plan.ContainerRunning, plan.HealthStarting},
		{p.StopContainer, plan.ContainerStopped, plan.HealthNone},
		{p.StartContainer, plan.ContainerRunning, plan.HealthStarting},
	} {
		first := l.single(d, step.move)
		require.Equal(t, step.state, first.State)
		require.Equal(t, step.health, first.Health)
		require.True(t, first.Same(l.single(d, step.move)), "the second time, nothing happens")
		if id == "" {
			id = first.ID
		}
		require.Equal(t, id, first.ID, "it stays the same container")
		runs = first.StartedAt
	}
	now := l.inspect(id)
	require.Equal(t, runs, startedAt(&now))
	require.Equal(t, container.RestartPolicyUnlessStopped, l.inspect(id).HostConfig.RestartPolicy.Name, "a stop outlasts the engine's restart")
	require.NoError(t, l.delete(d.Target))
	require.Empty(t, l.containers())
	require.True(t, activities.ContainerCondition{}.Same(l.single(d, p.StopContainer)), "one that is gone is stopped")
}

func TestWhatDoesNotRunIsNotPaused(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{})
	for _, move := range []func(context.Context, plan.Desired, activities.Secrets, activities.Progress) (activities.ContainerCondition, error){l.provider.PauseContainer, l.provider.ResumeContainer} {
		_, err := move(t.Context(), d, l.secrets, l.spoken.say)
		requireFault(t, err, activities.Conflict)
		l.single(d, l.provider.CreateContainer)
		_, err = move(t.Context(), d, l.secrets, l.spoken.say)
		require.Contains(t, requireFault(t, err, activities.Conflict).Message, "it is created")
		require.NoError(t, l.delete(d.Target))
	}
}

func TestANewVersionOfAContainerTakesThePlaceOfTheOldOne(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	before, after := l.compute("one", schemas.Compute{Args: []string{"-label", "a"}}), l.compute("one", schemas.Compute{Args: []string{"-label", "b"}})
	l.single(before, l.provider.StartContainer)
	l.single(after, l.provider.CreateContainer)
	require.True(t, l.inspect(containerName(before, 0)).State.Running, "until the new one starts")
	l.single(after, l.provider.StartContainer)
	require.True(t, l.inspect(containerName(after, 0)).State.Running)
	require.Len(t, l.containers(), 1)
}

func TestAVersionThatCannotStartLeavesTheOldOneRunning(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	before := l.compute("one", schemas.Compute{})
	l.single(before, l.provider.StartContainer)
	for name, after := range map[string]plan.Desired{
		"before it ends":    l.compute("one", schemas.Compute{Command: []string{"/nothing-here"}}),
		"made a moment ago": l.compute("one", schemas.Compute{Command: []string{"/nothing-there"}}),
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "made") {
				l.single(after, l.provider.CreateContainer)
			}
			_, err := l.provider.StartContainer(t.Context(), after, l.secrets, l.spoken.say)
			requireFault(t, err, activities.Invalid)
			require.True(t, l.inspect(containerName(before, 0)).State.Running)
			require.Len(t, l.containers(), 1)
		})
	}
}

func TestAContainerOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{})
	_, err := l.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: containerName(d, 0), Config: &container.Config{Image: images.FixtureReference}})
	require.NoError(t, err)
	_, err = l.provider.StartContainer(t.Context(), d, l.secrets, l.spoken.say)
	requireFault(t, err, activities.Conflict)
	require.False(t, l.inspect(containerName(d, 0)).State.Running)
}

func TestWhoWatchesAContainerLearnsWhatBecomesOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		declared schemas.Compute
		health   plan.HealthState
		harm     func(l *lab, id string) error
		want     activities.ContainerCondition
		code     int
		message  string
	}{
		"it gets healthy": {schemas.Compute{Health: patientHTTP()}, plan.HealthStarting, nil,
			activities.ContainerCondition{State: plan.ContainerRunning, Health: plan.HealthHealthy}, -1, ""},
		"it never gets healthy": {schemas.Compute{Args: []string{"-never-healthy"}, Health: quickHTTP()}, plan.HealthStarting, nil,
			activities.ContainerCondition{State: plan.ContainerRunning, Health: plan.HealthUnhealthy}, -1, "failed 3 health checks in a row: GET /healthz: 503"},
		"it turns unhealthy": {schemas.Compute{Health: patientHTTP()}, plan.HealthHealthy, func(l *lab, id string) error { return l.fetch(id, "/break") },
			activities.ContainerCondition{State: plan.ContainerRunning, Health: plan.HealthUnhealthy}, -1, "failed 3 health checks in a row: GET /healthz: 503"},
		"its own check says so": {schemas.Compute{Args: []string{"-never-healthy"}, Health: &schemas.Health{
			Exec: &schemas.ExecCheck{Command: []string{"/fixture", "check"}}, Interval: duration(time.Second), StartPeriod: duration(time.Second)}},
			plan.HealthStarting, nil, activities.ContainerCondition{State: plan.ContainerRunning, Health: plan.HealthUnhealthy}, -1, "failed 3 health checks in a row: exec check: exit code 1"},
		"it ends": {schemas.Compute{Args: []string{"-exit-after", "5s", "-exit-code", "3"}, RestartPolicy: schemas.RestartNever}, plan.HealthNone, nil,
			activities.ContainerCondition{State: plan.ContainerExited, Health: plan.HealthNone}, 3, "the container ended with exit code 3"},
		"it is done": {schemas.Compute{Args: []string{"-exit-after", "5s", "-exit-code", "0"}, RestartPolicy: schemas.RestartNever}, plan.HealthNone, nil,
			activities.ContainerCondition{State: plan.ContainerExited, Health: plan.HealthNone}, 0, ""},
		"somebody stops it": {schemas.Compute{}, plan.HealthNone, func(l *lab, id string) error {
			_, err := l.engine.ContainerStop(l.Context(), id, client.ContainerStopOptions{})
			return err
		}, activities.ContainerCondition{State: plan.ContainerStopped, Health: plan.HealthNone}, 0, ""},
		"somebody pauses it": {schemas.Compute{}, plan.HealthNone, func(l *lab, id string) error {
			_, err := l.engine.ContainerPause(l.Context(), id, client.ContainerPauseOptions{})
			return err
		}, activities.ContainerCondition{State: plan.ContainerPaused, Health: plan.HealthNone}, -1, ""},
		"somebody removes it": {schemas.Compute{}, plan.HealthNone, func(l *lab, id string) error {
			_, err := l.engine.ContainerRemove(l.Context(), id, client.ContainerRemoveOptions{Force: true})
			return err
		}, activities.ContainerCondition{}, -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newSingleLab(t)
			d := l.compute("one", c.declared)
			known := l.single(d, l.provider.StartContainer)
			if c.health == plan.HealthHealthy {
				report, err := l.provider.WatchContainer(t.Context(), d, known, l.secrets, l.spoken.say)
				require.NoError(t, err)
				known = report.Condition
			}
			require.Equal(t, c.health, known.Health)
			watching := l.watching(d, known)
			if c.harm != nil {
				require.NoError(t, c.harm(l, known.ID))
			}
			report := watching()
			if c.want.State == "" && report.Condition.ID != "" {
				report = l.watching(d, report.Condition)() // it has ended, and is about to be removed
				require.Nil(t, report.ExitCode)
			}
			require.Equal(t, c.want.State, report.Condition.State)
			require.Equal(t, c.want.Health, report.Condition.Health)
			if c.code < 0 {
				require.Nil(t, report.ExitCode)
			} else {
				require.NotNil(t, report.ExitCode)
				require.Equal(t, c.code, *report.ExitCode)
			}
			if c.message == "" {
				require.Nil(t, report.Fault)
			} else {
				require.Contains(t, report.Fault.Message, c.message)
				require.Contains(t, strings.Join(report.Fault.Evidence.Logs, "\n"), "listening")
			}
		})
	}
}

// watching begins to watch a container and returns what waits for the report.
func (l *lab) watching(d plan.Desired, known activities.ContainerCondition) func() activities.ContainerReport {
	l.Helper()
	type result struct {
		activities.ContainerReport
		err error
	}
	said, results := &transcript{}, make(chan result, 1)
	go func() {
		report, err := l.provider.WatchContainer(l.Context(), d, known, l.secrets, said.say)
		results <- result{report, err}
	}()
	l.eventually(func() bool { return strings.Contains(said.String(), "watching") || len(results) > 0 }, "it watches")
	return func() activities.ContainerReport {
		l.Helper()
		select {
		case r := <-results:
			require.NoError(l, r.err)
			return r.ContainerReport
		case <-time.After(3 * time.Minute):
			require.Fail(l, "nobody noticed")
			return activities.ContainerReport{}
		}
	}
}

// A container that dies is seen in the engine's stream of events: long before anybody
// would have looked anyway.
func TestTheEngineTellsOfAContainerThatDies(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	l.provider.watchInterval = time.Hour
	d := l.compute("one", schemas.Compute{RestartPolicy: schemas.RestartNever})
	known := l.single(d, l.provider.StartContainer)
	watching := l.watching(d, known)
	_, err := l.engine.ContainerKill(t.Context(), known.ID, client.ContainerKillOptions{Signal: "KILL"})
	require.NoError(t, err)
	report := watching()
	require.Equal(t, 137, *report.ExitCode)
}

// Nobody watched when the container ended and the engine started it again.
func TestARunThatNobodySawEndIsToldWithItsExitCode(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{Args: []string{"-exit-after", "1s", "-exit-code", "3"}})
	known := l.single(d, l.provider.StartContainer)
	l.eventually(func() bool {
		c := l.inspect(known.ID)
		return c.RestartCount > 0 && c.State.Status == container.StateRunning
	}, "the engine has restarted it")
	report := l.watching(d, known)()
	require.True(t, known.Ended(report.Condition))
	require.Equal(t, 3, *report.ExitCode)
}

// An engine that is asked without a pause has no time for anything else.
func TestAContainerThatDoesNotRunIsLeftInPeace(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{Health: quickHTTP()})
	l.single(d, l.provider.StartContainer)
	r, err := l.provider.single(t.Context(), d, l.secrets, l.spoken.say)
	require.NoError(t, err)
	running, err := r.found(t.Context())
	require.NoError(t, err)
	check := r.newCheckup(startedAt(running), plan.HealthStarting)
	require.Zero(t, check.due(running), "it has not been looked at")
	for _, move := range []func(context.Context, plan.Desired, activities.Secrets, activities.Progress) (activities.ContainerCondition, error){l.provider.PauseContainer, l.provider.StopContainer} {
		l.single(d, move)
		c, err := r.found(t.Context())
		require.NoError(t, err)
		require.Equal(t, l.provider.watchInterval, r.newCheckup(startedAt(c), plan.HealthNone).due(c), c.State.Status)
	}
	require.Equal(t, l.provider.watchInterval, check.due(nil))
}

// The engine keeps the results of its own checks when it starts a container again.
func TestACheckOfAnEarlierRunSaysNothing(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{Health: &schemas.Health{Exec: &schemas.ExecCheck{Command: []string{"/fixture", "check"}}, Interval: duration(500 * time.Millisecond)}})
	known := l.single(d, l.provider.StartContainer)
	healthy := l.watching(d, known)()
	require.Equal(t, plan.HealthHealthy, healthy.Condition.Health)
	l.single(d, l.provider.StopContainer)
	again := l.single(d, l.provider.StartContainer)
	r, err := l.provider.single(t.Context(), d, l.secrets, l.spoken.say)
	require.NoError(t, err)
	c, err := r.found(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, c.State.Health.Log, "the engine has forgotten them, so that this shows nothing")
	for i := range c.State.Health.Log {
		c.State.Health.Log[i].Start = known.StartedAt // all of the run before
	}
	check := r.newCheckup(again.StartedAt, again.Health)
	require.NoError(t, check.look(t.Context(), c))
	require.Equal(t, plan.HealthStarting, check.health)
}

func TestTheLogsOfAContainer(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{Args: []string{"-log-lines", "5"}})
	l.single(d, l.provider.StartContainer)
	read := func(request schemas.LogsRequest) []schemas.LogLine {
		answer, err := l.provider.ContainerLogs(t.Context(), d, request, l.secrets)
		require.NoError(t, err)
		require.False(t, answer.Truncated)
		return answer.Lines
	}
	l.eventually(func() bool { return len(read(schemas.LogsRequest{})) > 5 }, "it has written")
	all := read(schemas.LogsRequest{})
	require.Equal(t, "line 1", all[0].Text)
	for n := 1; n < len(all); n++ {
		require.False(t, all[n].Time.Before(all[n-1].Time))
	}
	last := all[len(all)-1]
	require.Contains(t, last.Text, "listening")
	require.Equal(t, []schemas.LogLine{last}, read(schemas.LogsRequest{Tail: 1}))
	require.Empty(t, read(schemas.LogsRequest{After: last.Time}))
	require.Equal(t, all[1:], read(schemas.LogsRequest{After: all[0].Time}))
	_, err := l.provider.ContainerLogs(t.Context(), l.compute("other", schemas.Compute{}), schemas.LogsRequest{}, l.secrets)
	requireFault(t, err, activities.NotFound)
}

func TestTheLogsOfAContainerHoldNoSecret(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	d := l.compute("one", schemas.Compute{Args: []string{"${secret.RIGHT}"}, RestartPolicy: schemas.RestartNever})
	_, err := l.provider.StartContainer(t.Context(), d, registrySecrets(t), l.spoken.say)
	require.NoError(t, err)
	l.eventually(func() bool {
		answer, err := l.provider.ContainerLogs(t.Context(), d, schemas.LogsRequest{}, registrySecrets(t))
		require.NoError(t, err)
		text := fmt.Sprint(answer.Lines)
		require.NotContains(t, text, registryPassword)
		return strings.Contains(text, `unknown command "[redacted]"`)
	}, "it has complained of its argument, which is the secret")
}

func TestLogsThatDoNotFitLoseTheOldest(t *testing.T) {
	sheet := &logSheet{}
	stream := &logStream{sheet: sheet, name: "stderr"}
	const lines = 3000
	for n := range lines {
		_, err := fmt.Fprintf(stream, "%s %d %s\n", time.Unix(int64(n+1), 0).UTC().Format(time.RFC3339Nano), n, strings.Repeat("x", 1000))
		require.NoError(t, err)
	}
	require.Len(t, sheet.lines, lines)
	answer := sheet.answer(time.Time{}, activities.NewSecretsNone())
	require.True(t, answer.Truncated)
	require.Less(t, len(answer.Lines), lines)
	require.True(t, strings.HasPrefix(answer.Lines[len(answer.Lines)-1].Text, fmt.Sprint(lines-1)))
	require.Equal(t, "stderr", answer.Lines[0].Stream)
}

func TestSingleContainersAreNoInfrastructure(t *testing.T) {
	t.Parallel()
	l := newSingleLab(t)
	l.single(l.compute("one", schemas.Compute{}), l.provider.CreateContainer)
	scopes, err := l.provider.Scopes(t.Context())
	require.NoError(t, err)
	require.NotContains(t, scopes, l.scope)
}
