package supervision

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/plan/rollout"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

var (
	begin = time.Unix(1_800_000_000, 0)
	next  = rollout.Version{Set: "new", Replicas: 4, Revision: 2}
	last  = rollout.Version{Set: "old", Replicas: 4, Revision: 1}
	bad   = schemas.Failure{Kind: "Unhealthy", Message: "it crashed", Evidence: &schemas.Evidence{Container: "web-1"}}
)

func begun(strategy schemas.Strategy) *State {
	s := New(strategy, next, last, true, begin)
	s.Declared()
	return s
}

func after(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

func complete() Exchange {
	return Exchange{Declared: 4, Updated: 4, Ready: 4, Available: 4, Complete: true}
}

func TestARolloutSucceedsWhenTheNewVersionIsAllThatThereIs(t *testing.T) {
	s := begun(schemas.Strategy{})
	s.Moved(Exchange{Declared: 4, Updated: 2, Available: 1, Old: 3, OldAvailable: 3}, after(1))
	require.Equal(t, schemas.RolloutProgressing, s.Phase)
	require.Equal(t, "1 of 4 replicas are available, 3 of other versions are there; waits for 1", s.Status().Message)
	s.Moved(complete(), after(2))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)
	require.Zero(t, s.Wake())
}

func TestEachReplicaThatBecomesAvailablePutsTheDeadlineOff(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	require.Equal(t, after(60), s.Wake())
	s.Moved(Exchange{Declared: 4, Updated: 1, Old: 4}, after(30))
	require.Equal(t, after(60), s.Wake(), "a replica that is only there is no progress")
	s.Moved(Exchange{Declared: 4, Updated: 1, Available: 1, Old: 4}, after(50))
	require.Equal(t, after(110), s.Wake())
	s.Moved(Exchange{Declared: 4, Updated: 1, Available: 1, Old: 3}, after(55))
	require.Equal(t, after(115), s.Wake(), "one of the old that is gone is progress")
	s.Tick(after(114))
	require.False(t, s.Back)
	s.Tick(after(115))
	require.True(t, s.Back)
	require.Equal(t, rollout.KindDeadline, s.Failure.Kind)
	require.Contains(t, s.Failure.Message, "no replica became available in 1m0s: 1 of 4 replicas are available")
	require.False(t, s.Begun, "the place has to be told that the way leads back")
	require.Equal(t, after(175), s.Wake(), "the way back has a deadline of its own")
}

func TestPausingStopsTheDeadlineAndTellsThePlace(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(20)))
	require.True(t, s.Paused)
	require.False(t, s.Begun)
	require.Zero(t, s.Wake())
	s.Declared()
	s.Tick(after(10_000))
	require.False(t, s.Done())
	require.ErrorContains(t, s.Command(schemas.RolloutPause, "somebody", after(21)), "is paused already")
	require.NoError(t, s.Command(schemas.RolloutResume, "somebody", after(20_000)))
	require.Equal(t, after(20_040), s.Wake())
	require.False(t, s.Begun)
	require.ErrorContains(t, s.Command(schemas.RolloutResume, "somebody", after(20_001)), "is not paused")
}

func TestWhatWasCompleteWhilePausedIsLookedAtAgain(t *testing.T) {
	s := begun(schemas.Strategy{})
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(1)))
	s.Moved(complete(), after(2))
	require.False(t, s.Done())
	require.NoError(t, s.Command(schemas.RolloutResume, "somebody", after(3)))
	require.NotEqual(t, complete(), s.Seen, "a watch for changes would wait for ever")
}

func TestAFailureGoesBackAndTellsWhy(t *testing.T) {
	s := begun(schemas.Strategy{})
	s.Fail(bad, after(5))
	require.Equal(t, schemas.RolloutRollingBack, s.Phase)
	require.Equal(t, last, s.Goal())
	require.Equal(t, "stable", s.Status().Sets[0].Role)
	s.Declared()
	s.Moved(complete(), after(6))
	require.Equal(t, schemas.RolloutRolledBack, s.Phase)
	require.Equal(t, bad, *s.Failure)
}

func TestAWayBackThatFailsSaysBothReasons(t *testing.T) {
	s := begun(schemas.Strategy{})
	s.Fail(bad, after(5))
	s.Fail(schemas.Failure{Message: "no node is left"}, after(6))
	require.Equal(t, schemas.RolloutFailed, s.Phase)
	require.Equal(t, "it crashed; going back failed too: no node is left", s.Failure.Message)
}

func TestWithNothingToGoBackToTheRolloutEnds(t *testing.T) {
	for name, s := range map[string]*State{
		"no stable version":  New(schemas.Strategy{}, next, rollout.Version{}, true, begin),
		"the stable version": New(schemas.Strategy{}, next, next, true, begin),
		"it is kept":         New(schemas.Strategy{}, next, last, false, begin),
	} {
		s.Fail(bad, after(1))
		require.Equal(t, schemas.RolloutFailed, s.Phase, name)
	}
}

func TestTheNewVersionIsWatchedForAsLongAsTheStrategySays(t *testing.T) {
	s := begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	s.Moved(complete(), after(10))
	require.Equal(t, schemas.RolloutMonitoring, s.Phase)
	require.Equal(t, after(70), s.Wake())
	require.ErrorContains(t, s.Command(schemas.RolloutPause, "somebody", after(11)), "leaves nothing to pause")
	s.Tick(after(69))
	require.False(t, s.Done())
	s.Tick(after(70))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)

	s = begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	s.Moved(complete(), after(10))
	s.Fail(bad, after(20))
	require.True(t, s.Back)
	require.Equal(t, after(620), s.Wake())

	s = begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	require.ErrorContains(t, s.Command(schemas.RolloutPromote, "somebody", after(1)), "waits for nothing")
	s.Moved(complete(), after(10))
	require.NoError(t, s.Command(schemas.RolloutPromote, "somebody", after(11)))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)
}

func TestAbortGoesBackAlsoWhereAFailureWouldNot(t *testing.T) {
	s := New(schemas.Strategy{}, next, last, false, begin)
	require.NoError(t, s.Command(schemas.RolloutAbort, "somebody", after(1)))
	require.Equal(t, rollout.KindAborted, s.Failure.Kind)
	require.True(t, s.Back)
	require.ErrorContains(t, s.Command(schemas.RolloutAbort, "somebody", after(2)), "goes back already")
	require.ErrorContains(t, New(schemas.Strategy{}, next, rollout.Version{}, true, begin).Command(schemas.RolloutAbort, "x", begin), "no stable version")
}

// TestEveryRolloutEnds gives rollouts whatever can happen, in random order: each ends, goes
// back at most once, and fails by no deadline while it is paused.
func TestEveryRolloutEnds(t *testing.T) {
	orders := []schemas.RolloutOrder{schemas.RolloutPause, schemas.RolloutResume, schemas.RolloutPromote, schemas.RolloutPromoteAll, schemas.RolloutAbort}
	for seed := range uint64(3000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		strategy := schemas.Strategy{ProgressDeadlineSeconds: 1 + chance.IntN(100), Monitor: quantity.Duration(chance.IntN(3)) * quantity.Duration(time.Minute)}
		s, now, turns := New(strategy, next, last, chance.IntN(4) > 0, begin), begin, 0
		for round := 0; !s.Done(); round++ {
			require.Less(t, round, 2000, "seed %d does not end: %+v", seed, s)
			back := s.Back
			now = now.Add(time.Duration(chance.IntN(20)) * time.Second)
			switch chance.IntN(12) {
			case 0:
				_ = s.Command(orders[chance.IntN(len(orders))], "somebody", now)
			case 1:
				s.Fail(bad, now)
			case 2, 3:
				s.Moved(complete(), now)
			case 4, 5, 6:
				n := chance.IntN(5)
				s.Moved(Exchange{Declared: 4, Updated: n, Available: chance.IntN(n + 1), Old: 4 - n}, now)
			case 7:
				s.Declared()
			case 8:
				if s.Paused {
					_ = s.Command(schemas.RolloutResume, "somebody", now)
				}
			default:
				paused, failure := s.Paused, s.Failure
				s.Tick(now)
				require.False(t, paused && s.Failure != failure, "seed %d failed by a deadline while it was paused", seed)
			}
			if s.Back && !back {
				turns++
				require.False(t, s.Begun, "seed %d does not tell the place", seed)
			}
			require.False(t, back && !s.Back, "seed %d turned forward again", seed)
			if !s.Done() && !s.Paused {
				require.NotZero(t, s.Wake(), "seed %d may wait for ever: %+v", seed, s)
			}
		}
		require.LessOrEqual(t, turns, 1, fmt.Sprintf("seed %d", seed))
		require.Equal(t, s.Phase == schemas.RolloutRolledBack || s.Phase == schemas.RolloutFailed, s.Failure != nil, "seed %d ended as %s with %v", seed, s.Phase, s.Failure)
	}
}
