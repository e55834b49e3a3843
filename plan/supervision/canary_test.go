package supervision

import (
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
	"windlass/schemas/quantity"
)

// canary is a rollout with a step that holds for 30s and one that holds until it is
// promoted.
func canary() *State {
	held := quantity.Duration(30e9)
	return begun(schemas.Strategy{Type: schemas.StrategyCanary, ProgressDeadlineSeconds: 60, Steps: []schemas.CanaryStep{
		{Weight: 10, Pause: &schemas.CanaryPause{Duration: &held}}, {Weight: 50, Pause: &schemas.CanaryPause{}},
	}})
}

// full is a complete exchange of the present part.
func (s *State) full() Exchange {
	n := s.Beside.Replicas
	return Exchange{Declared: n, Updated: n, Ready: n, Available: n, Old: 4, OldAvailable: 4, Complete: true}
}

// settleSteps tells that the part is complete until the rollout holds or has left the steps.
func settleSteps(s *State, at int) {
	for s.Phase != schemas.RolloutHolding && s.Beside.Apart() {
		s.Told(s.Way)
		s.Moved(s.full(), after(at))
	}
}

func TestACanaryGrowsBeforeItGetsMoreRequests(t *testing.T) {
	s := canary()
	require.Equal(t, Beside{Replicas: 1}, s.Beside, "no requests before it is available")
	s.Moved(s.full(), after(1))
	require.Equal(t, Beside{Replicas: 1, Weight: 10}, s.Beside)
	require.False(t, s.Begun)
	settleSteps(s, 2)
	require.Equal(t, after(32), s.Wake())
	require.Equal(t, 10, *s.Status().Weight)
	s.Tick(after(31))
	require.Equal(t, schemas.RolloutHolding, s.Phase)
	s.Tick(after(32))
	require.Equal(t, Beside{Replicas: 2, Weight: 10}, s.Beside)
	settleSteps(s, 33)
	require.Equal(t, Beside{Replicas: 2, Weight: 50}, s.Beside)
	require.Zero(t, s.Wake(), "it holds until it is promoted")
	require.NoError(t, s.Command(schemas.RolloutPromote, "somebody", after(100)))
	require.Equal(t, Beside{Replicas: 4, Weight: 50}, s.Beside)
	s.Moved(s.full(), after(101))
	require.Equal(t, Beside{Replicas: 4, Weight: 100}, s.Beside)
	s.Moved(s.full(), after(102))
	require.Equal(t, Beside{Replicas: 4, Weight: 100, Main: true}, s.Beside)
	s.Moved(complete(), after(103))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)
}

func TestACanaryThatIsPromotedAsAWholeLeavesOutItsSteps(t *testing.T) {
	s := canary()
	require.NoError(t, s.Command(schemas.RolloutPromoteAll, "somebody", after(1)))
	require.Equal(t, Beside{Replicas: 4}, s.Beside)
	settleSteps(s, 2)
	require.Equal(t, Beside{Replicas: 4, Weight: 100, Main: true}, s.Beside)
}

func TestAPausedCanaryHoldsUntilItIsResumed(t *testing.T) {
	s := canary()
	settleSteps(s, 1)
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(2)))
	require.Zero(t, s.Wake())
	require.Error(t, s.Command(schemas.RolloutPromote, "somebody", after(3)))
	s.Tick(after(1000))
	require.Equal(t, 0, s.Step)
	require.NoError(t, s.Command(schemas.RolloutResume, "somebody", after(1000)))
	require.Equal(t, after(1060), s.Wake(), "the deadline begins anew")
	s.Moved(s.full(), after(1001))
	s.Tick(after(1001))
	require.Equal(t, 1, s.Step)
}

func TestACanaryThatFailsGoesBackToTheStablePartAlone(t *testing.T) {
	s := canary()
	settleSteps(s, 1)
	s.Fail(bad, after(2))
	require.Equal(t, Way{Back: true}, s.Way)
	s.Moved(complete(), after(3))
	require.Equal(t, schemas.RolloutRolledBack, s.Phase)
}

func TestAFirstVersionHasNothingToRunBeside(t *testing.T) {
	s := New(schemas.Strategy{Type: schemas.StrategyCanary, Steps: []schemas.CanaryStep{{Weight: 10}}}, next, last, true, begin)
	require.True(t, s.Beside.Apart())
	none := last
	none.Set = ""
	s = New(s.Strategy, next, none, true, begin)
	require.False(t, s.Beside.Apart())
	require.Nil(t, s.Status().Weight)
}

func TestAllRequestsMoveAtOnceAndTheStableVersionIsKeptWarm(t *testing.T) {
	warm := quantity.Duration(30e9)
	exchange := func() *State {
		return begun(schemas.Strategy{Type: schemas.StrategyBlueGreen, ProgressDeadlineSeconds: 60, Warm: &warm})
	}
	s := exchange()
	require.Equal(t, Beside{Replicas: 4}, s.Beside, "all of them, and no requests")
	s.Moved(s.full(), after(1))
	require.Equal(t, Beside{Replicas: 4, Weight: 100}, s.Beside, "all requests at once")
	s.Moved(s.full(), after(2))
	require.Equal(t, schemas.RolloutWarm, s.Phase)
	require.Equal(t, after(32), s.Wake())
	require.Contains(t, s.Status().Message, "keeps the stable version warm until it is promoted, or ")
	s.Tick(after(31))
	require.Equal(t, schemas.RolloutWarm, s.Phase)
	s.Tick(after(32))
	s.Moved(s.full(), after(33))
	require.Equal(t, Beside{Replicas: 4, Weight: 100, Main: true}, s.Beside)
	s.Moved(complete(), after(34))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)

	s = exchange()
	s.Moved(s.full(), after(1))
	s.Moved(s.full(), after(2))
	s.Fail(bad, after(3))
	require.Equal(t, Way{Back: true}, s.Way, "one step leads back")

	s = exchange()
	s.Moved(s.full(), after(1))
	s.Moved(s.full(), after(2))
	require.NoError(t, s.Command(schemas.RolloutPromote, "somebody", after(3)))
	s.Moved(s.full(), after(4))
	require.True(t, s.Beside.Main)
}
