package docker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func (l *lab) job(arguments ...string) plan.Desired {
	return l.compute("migration", schemas.Compute{Args: arguments, EndState: schemas.EndStateCompleted})
}

// summary is the plan that leads to the one resource as it is declared.
func (l *lab) summary(d plan.Desired) string {
	l.Helper()
	return plan.Diff([]plan.Desired{d}, []plan.Observed{l.observed(d.Resource)}).String()
}

func TestAJobIsReadyWhenItEndedWellAndRunsOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.job("sleep", "400ms")
	l.applied(d)
	first := l.inspect(l.containers()[0].ID)
	require.False(t, first.State.Running, "the job still runs")
	require.Equal(t, "1 unchanged", l.summary(d))

	l.applied(d)
	require.Len(t, l.containers(), 1)
	again := l.inspect(l.containers()[0].ID)
	require.Equal(t, first.ID, again.ID, "the job was made anew")
	require.Equal(t, first.State.StartedAt, again.State.StartedAt, "the job ran twice")

	changed := l.job("sleep", "401ms")
	require.Equal(t, "1 to update", l.summary(changed))
	l.applied(changed)
	require.Len(t, l.containers(), 1)
	require.NotEqual(t, first.ID, l.containers()[0].ID)
}

func TestAJobThatFailsSaysHowItEnded(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.job("exit", "3", "2")
	f := l.fault(d, activities.Unhealthy)
	require.Equal(t, "replica 0 ended with exit code 3", f.Message)
	require.Equal(t, []string{"line 1", "line 2"}, f.Evidence.Logs)
	require.Equal(t, 3, *f.Evidence.ExitCode)
	require.Equal(t, "1 to update", l.summary(d))
}

// Whoever waited for the job dies; the next one waits for the same run.
func TestAJobThatNobodyWaitsForIsAdopted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.job("sleep", "3s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := l.provider.Apply(ctx, d, l.secrets, func(string) {})
		ended <- err
	}()
	l.eventually(func() bool {
		all := l.containers()
		return len(all) == 1 && all[0].running()
	}, "the job runs")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	running := l.inspect(l.containers()[0].ID)
	require.Equal(t, "replica 0 has not completed", l.observed("migration").Reason)

	l.applied(d)
	after := l.inspect(l.containers()[0].ID)
	require.Equal(t, running.ID, after.ID)
	require.Equal(t, running.State.StartedAt, after.State.StartedAt, "the job ran twice")
	require.Zero(t, after.State.ExitCode)
}
