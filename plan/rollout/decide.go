package rollout

import (
	"fmt"
	"slices"
	"time"

	"windlass/schemas"
)

// decision gathers what one call of Decide leads to.
type decision struct {
	*State
	now     time.Time
	actions []Action
}

// Decide returns what is to be begun now.
func (s *State) Decide(now time.Time) []Action {
	d := &decision{State: s, now: now}
	if s.Done() {
		return nil
	}
	d.watchDeadline()
	if s.Stopping {
		d.stop()
		return d.actions
	}
	if !s.Paused {
		s.Phase = schemas.RolloutProgressing
	}
	switch {
	case s.Paused:
		d.takeOutFailed()
	case s.Back:
		s.Phase = schemas.RolloutRollingBack
		d.roll(s.Stable, s.Strategy.Type == schemas.StrategyRecreate)
	case s.Strategy.Type == schemas.StrategyBlueGreen:
		d.exchange()
	case s.Strategy.Type == schemas.StrategyCanary:
		d.canary()
	default:
		d.roll(s.Target, s.Strategy.Type == schemas.StrategyRecreate)
	}
	d.retire()
	d.finish()
	return d.actions
}

func (d *decision) do(a Action) { d.actions = append(d.actions, a) }

func (d *decision) with(kind Kind, m *Member) {
	d.do(Action{Kind: kind, Set: m.Set, Index: m.Index, Name: m.Name})
}

// fill starts replicas of a version up to n of them, as far as there is room.
func (d *decision) fill(v Version, n, room int) {
	there := make(map[int]bool, n)
	starts := d.starts()
	d.each(v.of, func(m *Member) {
		there[m.Index] = true
		if m.Index < n && m.Condition == Present && m.Doing == idle && !m.Retired && starts > 0 {
			starts--
			m.Condition = Starting
			d.with(Start, m)
		}
	})
	for index := 0; index < n && room > 0 && starts > 0; index++ {
		if there[index] {
			continue
		}
		room, starts = room-1, starts-1
		d.Members = append(d.Members, Member{Set: v.Set, Index: index, Condition: Starting, Revision: v.Revision, Image: v.Image})
		d.with(Start, &d.Members[len(d.Members)-1])
	}
}

// starts is how many more replicas may start now.
func (d *decision) starts() int {
	if d.MostStarting == 0 {
		return unlimited
	}
	return d.MostStarting - d.count(func(m *Member) bool { return m.Condition == Starting })
}

// reroute has the proxies change which replicas get requests. Without proxies they
// do so by themselves.
func (d *decision) reroute(join, leave []*Member, weight *int) {
	same := weight == d.Weight || weight != nil && d.Weight != nil && *weight == *d.Weight
	if d.Routing || len(join) == 0 && len(leave) == 0 && same {
		return
	}
	d.Weight = weight
	if !d.Balanced {
		for _, m := range join {
			m.Routed = true
		}
		for _, m := range leave {
			m.Routed = false
		}
		return
	}
	a := Action{Kind: Route, Weight: weight}
	for _, m := range join {
		a.Join = append(a.Join, *m)
		m.Doing = joining
	}
	for _, m := range leave {
		a.Leave = append(a.Leave, *m)
		m.Doing = leaving
	}
	d.Routing = true
	d.do(a)
}

// retire takes what is to go one step further on its way.
func (d *decision) retire() {
	d.each(func(m *Member) bool { return m.Retired && !m.Routed && m.Doing == idle }, func(m *Member) {
		switch {
		case m.Condition == Starting:
			m.Doing = cancelling
			d.with(Cancel, m)
		case m.Busy:
			m.Doing = draining
			d.with(Drain, m)
		case m.Evidence:
			m.Doing = removing
			d.with(SetAside, m)
		default:
			m.Doing = removing
			d.with(Remove, m)
		}
	})
}

// takeOutFailed has nothing that failed get requests.
func (d *decision) takeOutFailed() {
	d.reroute(nil, d.failedInTraffic(), d.Weight)
}

func (d *decision) failedInTraffic() []*Member {
	var leave []*Member
	d.each(func(m *Member) bool { return m.Routed && m.Condition != Available && m.Doing == idle }, func(m *Member) {
		m.Retired = true
		leave = append(leave, m)
	})
	return leave
}

// retireBroken has what is of no use, and of no other version than those that go,
// make room.
func (d *decision) retireBroken(v Version) {
	d.each(func(m *Member) bool { return !v.of(m) && m.Condition != Available }, func(m *Member) { m.Retired = true })
}

// complete says that the declared replicas of a version serve, each of them.
func (d *decision) complete(v Version) bool {
	return d.count(func(m *Member) bool { return v.of(m) && m.serves() && m.Doing == idle }) == v.Replicas
}

// alone says that there is nothing but a version's declared replicas.
func (d *decision) alone(v Version) bool {
	return d.count(func(m *Member) bool { return !v.of(m) }) == 0
}

// finish ends the rollout when everything is as it is to be.
func (d *decision) finish() {
	v := d.goal()
	if !d.complete(v) {
		if !d.exchanges() {
			d.Settled = time.Time{}
		}
		return
	}
	if d.Paused || !d.alone(v) || !d.Idle() || !d.Back && d.Step.at(d.Strategy) {
		return
	}
	switch {
	case d.Back:
		d.Phase = schemas.RolloutRolledBack
	case d.watched():
		d.Phase = schemas.RolloutSucceeded
	default:
		d.Phase = schemas.RolloutMonitoring
	}
}

// exchanges says that the strategy moves all requests at once.
func (s *State) exchanges() bool {
	return s.Strategy.Type == schemas.StrategyBlueGreen || s.Strategy.Type == schemas.StrategyCanary
}

// window is how long the target version is watched once it has all requests.
func (s *State) window() time.Duration {
	window := time.Duration(s.Strategy.Monitor)
	if s.Strategy.Type == schemas.StrategyBlueGreen {
		window = max(window, time.Duration(*s.Strategy.Warm))
	}
	return window
}

// watched says whether the target version was watched for long enough.
func (d *decision) watched() bool {
	if d.Settled.IsZero() {
		d.Settled = d.now
	}
	return d.Hurry || !d.now.Before(d.Settled.Add(d.window()))
}

// stop ends the rollout where it stands, as soon as nothing runs any more.
func (d *decision) stop() {
	d.each(func(m *Member) bool { return m.Condition == Starting && m.Doing == idle }, func(m *Member) {
		m.Doing = cancelling
		d.with(Cancel, m)
	})
	if d.Idle() {
		d.Phase = schemas.RolloutFailed
	}
}

// missing are the replicas that the present step waits for.
func (s *State) missing() int {
	v, wanted := s.goal(), s.goal().Replicas
	if !s.Back && s.Step.at(s.Strategy) {
		wanted = s.stepReplicas()
	}
	return wanted - s.count(func(m *Member) bool { return v.of(m) && m.Condition == Available })
}

func (s *State) deadline() time.Duration {
	return time.Duration(s.Strategy.ProgressDeadlineSeconds) * time.Second
}

// watchDeadline fails the rollout when it waited too long for a replica.
func (d *decision) watchDeadline() {
	switch {
	case d.Paused || d.Stopping:
	case d.missing() <= 0:
		d.Deadline = time.Time{}
	case d.Deadline.IsZero():
		d.Deadline = d.now.Add(d.deadline())
	case !d.now.Before(d.Deadline):
		var waiting []string
		d.each(func(m *Member) bool { return m.Condition == Starting }, func(m *Member) {
			m.Evidence = len(waiting) == 0
			waiting = append(waiting, fmt.Sprint(m.Index))
		})
		slices.Sort(waiting)
		failure := schemas.Failure{
			Kind: KindDeadline, Field: "properties.strategy.progressDeadlineSeconds",
			Message: fmt.Sprintf("no replica became available within %s; %d are missing", d.deadline(), d.missing()),
			Hint:    "look at what the replica says, or give it more time",
		}
		if len(waiting) > 0 {
			failure.Message += fmt.Sprintf(", of which %v were starting", waiting)
		}
		d.fail(failure, d.now)
	}
}

// Wake is when, after now, Decide has to be called although nothing happened; zero is
// never.
func (s *State) Wake(now time.Time) time.Time {
	var first time.Time
	soonest := func(t time.Time) {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if s.Done() || s.Stopping || s.Paused {
		return first
	}
	soonest(s.Deadline)
	if !s.Back {
		soonest(s.Step.wake(s.Strategy))
		if !s.Settled.IsZero() {
			soonest(s.Settled.Add(s.window()))
		}
	}
	return first
}
