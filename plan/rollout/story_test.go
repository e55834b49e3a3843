package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"windlass/plan/rollout"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// story runs a rollout in rounds: what is begun in one round has ended before the
// next, and where nothing runs the time moves on.
type story struct {
	strategy   schemas.Strategy
	target     int
	stable     int // 0 is no stable version
	unbalanced bool
	keep       bool // a failure does not go back
	// fails says whether a replica fails to start, hangs whether its start never ends.
	fails, hangs func(set string, index int) bool
	// measures says how the analysis of a step ends.
	measures func(step int) *schemas.Failure
	// rounds bounds them; the default is 100.
	rounds int
	// before is called before each round, counted from 1.
	before func(round int, s *rollout.State, now time.Time)
}

func (s story) tell(t testing.TB) (string, *rollout.State) {
	t.Helper()
	begin := time.Unix(1_800_000_000, 0)
	now := begin
	var found []rollout.Member
	stable := rollout.Version{}
	for i := range s.stable {
		stable = rollout.Version{Set: "old", Replicas: s.stable}
		found = append(found, rollout.Member{Set: "old", Index: i, Condition: rollout.Available, Routed: true})
	}
	state := rollout.New(s.strategy, rollout.Version{Set: "new", Replicas: s.target}, stable, !s.unbalanced, !s.keep, found)
	var lines []string
	hanging := map[string]bool{}
	for round := 1; !state.Done(); round++ {
		if round > max(s.rounds, 100) {
			t.Fatalf("it does not end:\n%s", strings.Join(lines, "\n"))
		}
		if s.before != nil {
			s.before(round, state, now)
		}
		actions := state.Decide(now)
		if wake := state.Wake(now); !wake.IsZero() && !wake.After(now) {
			t.Fatalf("it wants to wake at %s, and it is %s: whoever waits for that never rests", wake, now)
		}
		var texts []string
		for _, a := range actions {
			texts = append(texts, a.String())
		}
		if len(actions) > 0 {
			lines = append(lines, strings.Join(texts, ", "))
		} else if wake := state.Wake(now); !state.Done() && !wake.IsZero() {
			lines = append(lines, fmt.Sprintf("wait %s", wake.Sub(now)))
			now = wake
		}
		for _, a := range actions {
			s.end(state, a, hanging, now)
		}
	}
	lines = append(lines, strings.ToLower(string(state.Phase)))
	return strings.Join(lines, "\n"), state
}

func (s story) end(state *rollout.State, a rollout.Action, hanging map[string]bool, now time.Time) {
	failure := &schemas.Failure{Kind: "Unhealthy", Message: "it crashed"}
	switch a.Kind {
	case rollout.Start:
		switch {
		case s.hangs != nil && s.hangs(a.Set, a.Index):
			hanging[key(a.Set, a.Index)] = true
		case s.fails != nil && s.fails(a.Set, a.Index):
			state.Started(a.Set, a.Index, "", failure, now)
		default:
			state.Started(a.Set, a.Index, key(a.Set, a.Index), nil, now)
		}
	case rollout.Cancel:
		if hanging[key(a.Set, a.Index)] {
			state.Started(a.Set, a.Index, "", &schemas.Failure{Kind: "Cancelled", Message: "was interrupted"}, now)
		}
	case rollout.Route:
		state.Routed()
	case rollout.Drain:
		state.Drained(a.Set, a.Index)
	case rollout.Remove, rollout.SetAside:
		state.Removed(a.Set, a.Index, &schemas.Evidence{Container: key(a.Set, a.Index)}, now)
	case rollout.Analyse:
		var failure *schemas.Failure
		if s.measures != nil {
			failure = s.measures(a.Step)
		}
		state.Analysed(a.Step, failure, now)
	}
}

func portion(n int) *quantity.Portion {
	p := quantity.Count(n)
	return &p
}

func seconds(n int) quantity.Duration { return quantity.Duration(time.Duration(n) * time.Second) }

func pointer[T any](v T) *T { return &v }

func expect(t *testing.T, s story, want string) *rollout.State {
	t.Helper()
	got, state := s.tell(t)
	want = strings.ReplaceAll(strings.TrimSpace(want), "\t", "")
	if got != want {
		t.Errorf("the rollout went\n%s\n\nwanted\n%s", got, want)
	}
	return state
}

func is(set string, index int) func(string, int) bool {
	return func(s string, i int) bool { return s == set && (i == index || index < 0) }
}

func TestARollingUpdateExchangesAsManyAsMayBeAboveTheDeclaredOnes(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(1)}, target: 2, stable: 2}, `
		start new/0
		route +new/0 -old/0
		drain old/0
		remove old/0
		start new/1
		route +new/1 -old/1
		drain old/1
		remove old/1
		succeeded`)
}

func TestWithoutSurgeAReplicaLeavesBeforeTheNextStarts(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(0), MaxUnavailable: portion(1)}, target: 2, stable: 2}, `
		route -old/0
		drain old/0
		remove old/0
		start new/0
		route +new/0 -old/1
		drain old/1
		remove old/1
		start new/1
		route +new/1
		succeeded`)
}

func TestWithoutAProxyReplicasAreStoppedOnceOthersAreAvailable(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(2)}, target: 2, stable: 2, unbalanced: true}, `
		start new/0, start new/1
		remove old/0, remove old/1
		succeeded`)
}

func TestRecreateRemovesEveryOldReplicaBeforeItMakesANewOne(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{Type: schemas.StrategyRecreate}, target: 2, stable: 2}, `
		route -old/0 -old/1
		drain old/0, drain old/1
		remove old/0, remove old/1
		start new/0, start new/1
		route +new/0 +new/1
		succeeded`)
}

func TestRecreateStartsNothingWhileThereIsRoomBesideTheOldReplicas(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{Type: schemas.StrategyRecreate}, target: 3, stable: 1}, `
		route -old/0
		drain old/0
		remove old/0
		start new/0, start new/1, start new/2
		route +new/0 +new/1 +new/2
		succeeded`)
}

func TestBlueGreenMovesAllRequestsAtOnceAndKeepsTheOldReplicasWarm(t *testing.T) {
	strategy := schemas.Strategy{Type: schemas.StrategyBlueGreen, Warm: pointer(seconds(20))}
	expect(t, story{strategy: strategy, target: 2, stable: 2}, `
		start new/0, start new/1
		route +new/0 +new/1 -old/0 -old/1
		wait 20s
		drain old/0, drain old/1
		remove old/0, remove old/1
		succeeded`)
}

func TestAbortInTheWarmWindowMovesAllRequestsBackAtOnce(t *testing.T) {
	strategy := schemas.Strategy{Type: schemas.StrategyBlueGreen, Warm: pointer(seconds(20))}
	state := expect(t, story{strategy: strategy, target: 2, stable: 2, before: func(round int, s *rollout.State, now time.Time) {
		if round == 4 {
			if err := s.Command(schemas.RolloutAbort, "somebody", now); err != nil {
				t.Error(err)
			}
		}
	}}, `
		start new/0, start new/1
		route +new/0 +new/1 -old/0 -old/1
		wait 20s
		route +old/0 +old/1 -new/0 -new/1
		drain new/0, drain new/1
		remove new/0, remove new/1
		rolledback`)
	if state.Failure.Kind != rollout.KindAborted {
		t.Errorf("the reason is %q", state.Failure.Kind)
	}
}

func canary() schemas.Strategy {
	return schemas.Strategy{Type: schemas.StrategyCanary, Steps: []schemas.CanaryStep{
		{Weight: 25, Analysis: &schemas.Analysis{}},
		{Weight: 50, Pause: &schemas.CanaryPause{Duration: pointer(seconds(30))}},
		{Weight: 75, Pause: &schemas.CanaryPause{}},
	}}
}

func TestACanaryGetsAGrowingShareAndWaitsToBePromoted(t *testing.T) {
	expect(t, story{strategy: canary(), target: 4, stable: 4, before: func(round int, s *rollout.State, now time.Time) {
		if round == 10 {
			if err := s.Command(schemas.RolloutPromote, "somebody", now); err != nil {
				t.Error(err)
			}
		}
	}}, `
		start new/0
		route +new/0 25%
		analyse step 0
		start new/1
		route +new/1 50%
		wait 30s
		start new/2
		route +new/2 75%
		start new/3
		route +new/3 -old/0 -old/1 -old/2 -old/3
		drain old/0, drain old/1, drain old/2, drain old/3
		remove old/0, remove old/1, remove old/2, remove old/3
		succeeded`)
}

func TestACanaryThatMeasuresBadlyGivesAllRequestsBack(t *testing.T) {
	bad := &schemas.Failure{Kind: "Analysis", Message: "one in five failed"}
	state := expect(t, story{strategy: canary(), target: 4, stable: 4, measures: func(int) *schemas.Failure { return bad }}, `
		start new/0
		route +new/0 25%
		analyse step 0
		route -new/0
		drain new/0
		remove new/0
		rolledback`)
	if state.Weight != nil {
		t.Errorf("the proxies still know a share of %d%%", *state.Weight)
	}
}

func TestPromotingAllEndsEveryWait(t *testing.T) {
	expect(t, story{strategy: canary(), target: 4, stable: 4, before: func(round int, s *rollout.State, now time.Time) {
		if round == 3 {
			if err := s.Command(schemas.RolloutPromoteAll, "somebody", now); err != nil {
				t.Error(err)
			}
		}
	}}, `
		start new/0
		route +new/0 25%
		start new/1, start new/2, start new/3
		route +new/1 +new/2 +new/3 -old/0 -old/1 -old/2 -old/3
		drain old/0, drain old/1, drain old/2, drain old/3
		remove old/0, remove old/1, remove old/2, remove old/3
		succeeded`)
}

func TestAReplicaThatFailsIsSetAsideAndTheRolloutGoesBack(t *testing.T) {
	state := expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(1)}, target: 3, stable: 3, fails: is("new", 1)}, `
		start new/0
		route +new/0 -old/0
		drain old/0
		remove old/0
		start new/1
		setaside new/1
		start old/0
		route +old/0 -new/0
		drain new/0
		remove new/0
		rolledback`)
	if state.Failure.Message != "it crashed" || state.Failure.Evidence == nil {
		t.Errorf("the failure is %+v", state.Failure)
	}
}

func TestAsManyMayFailAsTheRatioSays(t *testing.T) {
	failed := 0
	expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(2), MaxFailureRatio: 0.5}, target: 2, stable: 2, fails: func(set string, index int) bool {
		failed++
		return failed == 1
	}}, `
		start new/0, start new/1
		route +new/1 -old/0, setaside new/0
		start new/0, drain old/0
		route +new/0 -old/1, remove old/0
		drain old/1
		remove old/1
		succeeded`)
}

func TestAReplicaThatTurnsUnhealthyWhileItIsWatchedGoesBack(t *testing.T) {
	strategy := schemas.Strategy{MaxSurge: portion(1), Monitor: seconds(120)}
	expect(t, story{strategy: strategy, target: 1, stable: 1, before: func(round int, s *rollout.State, now time.Time) {
		if round == 6 {
			s.Unhealthy("new", 0, schemas.Failure{Kind: "Unhealthy", Message: "it leaks"}, now)
		}
	}}, `
		start new/0
		route +new/0 -old/0
		drain old/0
		remove old/0
		wait 2m0s
		start old/0, route -new/0
		route +old/0, drain new/0
		setaside new/0
		rolledback`)
}

func TestAReplicaThatNeverGetsAvailableEndsAtTheDeadline(t *testing.T) {
	state := expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(1), ProgressDeadlineSeconds: 60}, target: 2, stable: 2, hangs: is("new", 0)}, `
		start new/0
		wait 1m0s
		cancel new/0
		setaside new/0
		rolledback`)
	if state.Failure.Kind != rollout.KindDeadline || state.Failure.Evidence == nil {
		t.Errorf("the failure is %+v", state.Failure)
	}
}

func TestPausingStopsTheDeadlineAndStartsNothing(t *testing.T) {
	var left time.Duration
	_, state := story{strategy: schemas.Strategy{MaxSurge: portion(1), ProgressDeadlineSeconds: 60}, target: 2, stable: 2, hangs: is("new", 0), before: func(round int, s *rollout.State, now time.Time) {
		switch round {
		case 2:
			if err := s.Command(schemas.RolloutPause, "somebody", now.Add(20*time.Second)); err != nil {
				t.Error(err)
			}
			if !s.Wake(now).IsZero() {
				t.Errorf("a paused rollout wakes at %s", s.Wake(now))
			}
		case 5:
			if err := s.Command(schemas.RolloutResume, "somebody", now.Add(time.Hour)); err != nil {
				t.Error(err)
			}
			left = s.Deadline.Sub(now.Add(time.Hour))
		}
	}}.tell(t)
	if left != 40*time.Second {
		t.Errorf("%s of 60s are left after 20s and a pause", left)
	}
	if state.Phase != schemas.RolloutRolledBack {
		t.Errorf("it ended as %s", state.Phase)
	}
}

func TestWithNothingToGoBackToTheRolloutStops(t *testing.T) {
	state := expect(t, story{strategy: schemas.Strategy{}, target: 1, fails: is("new", 0)}, `
		start new/0
		failed`)
	if err := state.Command(schemas.RolloutAbort, "somebody", time.Now()); err == nil {
		t.Error("a rollout that has ended can be aborted")
	}
}

func TestWhereAFailureIsKeptTheRolloutStopsWhereItStands(t *testing.T) {
	expect(t, story{strategy: schemas.Strategy{MaxSurge: portion(1)}, target: 2, stable: 2, keep: true, fails: is("new", 1)}, `
		start new/0
		route +new/0 -old/0
		drain old/0
		remove old/0
		start new/1
		failed`)
}

func TestAWayBackThatFailsSaysBothReasons(t *testing.T) {
	state := expect(t, story{strategy: schemas.Strategy{Type: schemas.StrategyRecreate}, target: 1, stable: 1, fails: func(string, int) bool { return true }}, `
		route -old/0
		drain old/0
		remove old/0
		start new/0
		setaside new/0
		start old/0
		setaside old/0
		start old/0
		failed`)
	if !strings.Contains(state.Failure.Message, "going back failed too") {
		t.Errorf("the failure is %q", state.Failure.Message)
	}
}

func TestABrokenOldVersionDoesNotBlockTheNewOne(t *testing.T) {
	var found []rollout.Member
	for i := range 3 {
		found = append(found, rollout.Member{Set: "old", Index: i, Condition: rollout.Failed})
	}
	state := rollout.New(schemas.Strategy{MaxSurge: portion(1)}, rollout.Version{Set: "new", Replicas: 3}, rollout.Version{Set: "old", Replicas: 3}, true, true, found)
	var texts []string
	for _, a := range state.Decide(time.Now()) {
		texts = append(texts, a.String())
	}
	if got := strings.Join(texts, ", "); got != "start new/0, remove old/0, remove old/1, remove old/2" {
		t.Errorf("it begins with %s", got)
	}
}

func TestARoundingThatAllowsNothingAllowsOneUnavailable(t *testing.T) {
	s := schemas.Strategy{MaxSurge: portion(0), MaxUnavailable: pointer(quantity.Percent(10))}.WithDefaults()
	if surge, unavailable := s.Limits(5); surge != 0 || unavailable != 1 {
		t.Errorf("the limits are %d and %d", surge, unavailable)
	}
	s = schemas.Strategy{MaxSurge: pointer(quantity.Percent(25)), MaxUnavailable: pointer(quantity.Percent(25))}.WithDefaults()
	if surge, unavailable := s.Limits(10); surge != 3 || unavailable != 2 {
		t.Errorf("25%% of 10 are %d and %d", surge, unavailable)
	}
}
