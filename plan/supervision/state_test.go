package supervision

import (
	"encoding/json"
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
	s.Telling()
	s.Told(s.Way)
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
	require.Contains(t, s.Failure.Message, "no replica became available within 1m0s: 1 of 4 replicas are available")
	require.False(t, s.Begun, "the place has to be told that the way leads back")
	require.Equal(t, after(175), s.Wake(), "the way back has a deadline of its own")
}

func TestPausingStopsTheDeadlineAndTellsThePlace(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(20)))
	require.True(t, s.Paused)
	require.False(t, s.Begun)
	require.Zero(t, s.Wake())
	s.Told(s.Way)
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
	s.Told(s.Way)
	s.Moved(Exchange{Declared: 4, Updated: 3, Available: 2, Old: 1}, after(6))
	require.Equal(t, []schemas.RolloutSet{
		{Role: "new", Version: "new", Revision: 2, Declared: 4, There: 1},
		{Role: "stable", Version: "old", Revision: 1, Declared: 4, There: 3, Available: 2, Serving: 2},
	}, s.Status().Sets)
	s.Moved(complete(), after(7))
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

func TestARolloutThatIsPromotedAsAWholeIsNotWatched(t *testing.T) {
	s := begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	require.NoError(t, s.Command(schemas.RolloutPromoteAll, "somebody", after(1)))
	require.Equal(t, schemas.RolloutProgressing, s.Phase)
	s.Moved(complete(), after(10))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)

	s = begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	s.Moved(complete(), after(10))
	require.NoError(t, s.Command(schemas.RolloutPromoteAll, "somebody", after(11)))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)
}

func TestARolloutThatIsWatchedEndsOnlyWhileItIsComplete(t *testing.T) {
	incomplete := Exchange{Declared: 4, Updated: 4, Ready: 3, Available: 3}
	monitored := func() *State {
		s := begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute), ProgressDeadlineSeconds: 30})
		s.Moved(complete(), after(10))
		s.Moved(incomplete, after(60))
		require.Equal(t, schemas.RolloutProgressing, s.Phase)
		require.Equal(t, after(90), s.Wake(), "what replaces a replica may take its time")
		return s
	}
	s := monitored()
	s.Tick(after(75))
	require.False(t, s.Done())
	s.Moved(complete(), after(80))
	require.Equal(t, schemas.RolloutSucceeded, s.Phase, "it was watched for long enough meanwhile")

	s = monitored()
	s.Moved(complete(), after(65))
	require.Equal(t, after(70), s.Wake())

	s = monitored()
	s.Tick(after(90))
	require.True(t, s.Back)
	require.Equal(t, rollout.KindDeadline, s.Failure.Kind)
}

func TestReplicasThatOnlyComeAndGoAreNoProgress(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	for second := range 120 {
		s.Moved(Exchange{Declared: 4, Updated: 2, Available: second % 2, Old: 3 + second%2}, after(second))
		s.Tick(after(second))
	}
	require.True(t, s.Back, "%+v", s)
	require.Equal(t, rollout.KindDeadline, s.Failure.Kind)
}

func TestAReplicaThatComesUpWhileTheRolloutIsPausedIsProgress(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(50)))
	s.Moved(Exchange{Declared: 4, Updated: 1, Available: 1, Old: 4}, after(51))
	require.NoError(t, s.Command(schemas.RolloutResume, "somebody", after(1000)))
	require.Equal(t, after(1060), s.Wake())
}

func TestWhatAPlaceIsToldLateIsNotTheWay(t *testing.T) {
	s := New(schemas.Strategy{}, next, last, true, begin)
	require.False(t, s.Moving(), "nobody told the place anything")
	s.Telling()
	require.True(t, s.Moving())
	there := s.Way
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(1)))
	s.Told(there)
	require.False(t, s.Begun, "the place does not know of the pause")
	s.Told(s.Way)
	require.True(t, s.Begun)
	s.Fail(bad, after(2))
	s.Refused(there, schemas.Failure{Message: "no such image"}, after(3))
	require.False(t, s.Done(), "what was wrong with the way there says nothing of the way back")
	s.Refused(s.Way, schemas.Failure{Message: "no room"}, after(4))
	require.Equal(t, "it crashed; going back failed too: no room", s.Failure.Message)
}

func TestWhatIsFoundAfterwardsExplainsAFailureThatSaysNothing(t *testing.T) {
	s := begun(schemas.Strategy{ProgressDeadlineSeconds: 60})
	s.Explain(bad.Evidence)
	s.Tick(after(60))
	require.Nil(t, s.Failure.Evidence)
	s.Explain(bad.Evidence)
	require.Equal(t, bad.Evidence, s.Failure.Evidence)
	s.Explain(&schemas.Evidence{Container: "web-2"})
	require.Equal(t, bad.Evidence, s.Failure.Evidence)
}

func TestTheStateOutlivesTheRunThatItIsOf(t *testing.T) {
	s := begun(schemas.Strategy{Monitor: quantity.Duration(time.Minute)})
	s.Moved(Exchange{Declared: 4, Updated: 2, Available: 1, Old: 3}, after(1))
	require.NoError(t, s.Command(schemas.RolloutPause, "somebody", after(2)))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var again State
	require.NoError(t, json.Unmarshal(text, &again))
	same, err := json.Marshal(again)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(same))
	require.True(t, again.Paused)
	require.Equal(t, s.Reached, again.Reached)
	require.True(t, again.Begun == s.Begun && again.Touched)
}

func TestAbortGoesBackAlsoWhereAFailureWouldNot(t *testing.T) {
	s := New(schemas.Strategy{}, next, last, false, begin)
	require.NoError(t, s.Command(schemas.RolloutAbort, "somebody", after(1)))
	require.Equal(t, rollout.KindAborted, s.Failure.Kind)
	require.True(t, s.Back)
	require.ErrorContains(t, s.Command(schemas.RolloutAbort, "somebody", after(2)), "goes back already")
	require.ErrorContains(t, New(schemas.Strategy{}, next, rollout.Version{}, true, begin).Command(schemas.RolloutAbort, "x", begin), "no stable version")
}

// book judges a rollout by what happened to it.
type book struct {
	*testing.T
	seed uint64
	// quiet is for how long the exchange has not come further, pauses not counted.
	quiet time.Duration
	// available and old are how far it has come on the present way; old is -1 before
	// anything is known.
	available, old, turns int
}

func (b *book) turn() { b.quiet, b.available, b.old, b.turns = 0, 0, -1, b.turns+1 }

func (b *book) moved(e Exchange) {
	if b.old < 0 {
		b.old = e.Old
	}
	if e.Available > b.available || e.Old < b.old {
		b.quiet = 0
	}
	b.available, b.old = max(b.available, e.Available), min(b.old, e.Old)
}

// happens lets something happen by chance.
func (b *book) happens(s *State, chance *rand.Rand, now time.Time) {
	orders := []schemas.RolloutOrder{schemas.RolloutPause, schemas.RolloutResume, schemas.RolloutPromote, schemas.RolloutPromoteAll, schemas.RolloutAbort}
	move := func(e Exchange) {
		if b.moved(e); s.Phase == schemas.RolloutMonitoring && !e.Complete && !s.Paused {
			b.quiet = 0
		}
		s.Moved(e, now)
	}
	switch chance.IntN(14) {
	case 0:
		_ = s.Command(orders[chance.IntN(len(orders))], "somebody", now)
	case 1:
		if chance.IntN(4) == 0 {
			s.Fail(bad, now)
		}
	case 2:
		move(complete())
	case 3, 4, 5, 6:
		n := chance.IntN(5)
		move(Exchange{Declared: 4, Updated: n, Available: chance.IntN(n + 1), Old: 4 - n})
	case 7:
		s.Telling()
		s.Told(s.Way)
	case 8:
		if chance.IntN(4) == 0 {
			s.Refused(Way{Back: chance.IntN(2) == 0}, bad, now)
		}
	case 9:
		if s.Paused {
			_ = s.Command(schemas.RolloutResume, "somebody", now)
		}
	default:
		b.tick(s, now)
	}
}

func (b *book) tick(s *State, now time.Time) {
	before, failure := *s, ""
	if s.Failure != nil {
		failure = s.Failure.Message
	}
	s.Tick(now)
	if s.Failure != nil && s.Failure.Message != failure {
		require.False(b, before.Paused, "seed %d failed by a deadline while it was paused", b.seed)
		require.GreaterOrEqual(b, b.quiet, before.allowed(), "seed %d failed by a deadline and went on", b.seed)
	} else if !before.Paused && before.Phase != schemas.RolloutMonitoring {
		require.Less(b, b.quiet, before.allowed(), "seed %d does not keep the deadline", b.seed)
	}
}

// TestEveryRolloutEnds gives rollouts whatever can happen, in random order: each ends, goes
// back at most once, and fails by the deadline when and only when it did not come further
// for so long, pauses not counted.
func TestEveryRolloutEnds(t *testing.T) {
	ends := map[schemas.RolloutPhase]int{}
	for seed := range uint64(5000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		strategy := schemas.Strategy{ProgressDeadlineSeconds: 1 + chance.IntN(100), Monitor: quantity.Duration(chance.IntN(3)) * quantity.Duration(time.Minute)}
		s, now, b := New(strategy, next, last, chance.IntN(4) > 0, begin), begin, &book{T: t, seed: seed, old: -1}
		for round := 0; !s.Done(); round++ {
			require.Less(t, round, 1000, "seed %d does not end: %+v", seed, s)
			back, passed := s.Back, time.Duration(chance.IntN(20))*time.Second
			now = now.Add(passed)
			if !s.Paused {
				b.quiet += passed
			}
			b.happens(s, chance, now)
			if s.Back && !back {
				b.turn()
				require.False(t, s.Begun, "seed %d does not tell the place", seed)
			}
			require.False(t, back && !s.Back, "seed %d turned forward again", seed)
			require.False(t, s.Phase == schemas.RolloutMonitoring && !s.Seen.Complete, "seed %d watches what is not complete", seed)
			if !s.Done() && !s.Paused {
				require.NotZero(t, s.Wake(), "seed %d may wait for ever: %+v", seed, s)
			}
		}
		ends[s.Phase]++
		require.LessOrEqual(t, b.turns, 1, "seed %d", seed)
		require.Equal(t, s.Phase == schemas.RolloutRolledBack || s.Phase == schemas.RolloutFailed, s.Failure != nil, "seed %d ended as %s with %v", seed, s.Phase, s.Failure)
		if s.Phase == schemas.RolloutSucceeded {
			require.True(t, s.Seen.Complete, "seed %d succeeded with %+v", seed, s.Seen)
		}
	}
	for _, phase := range []schemas.RolloutPhase{schemas.RolloutSucceeded, schemas.RolloutRolledBack, schemas.RolloutFailed} {
		require.Greater(t, ends[phase], 100, "the test does not see how rollouts end as %s", phase)
	}
}
