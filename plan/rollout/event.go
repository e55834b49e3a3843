package rollout

import (
	"time"

	"windlass/schemas"
)

// Started tells how a Start ended: the replica of that name is available, or failed.
func (s *State) Started(set string, index int, name string, failure *schemas.Failure, now time.Time) {
	m := s.member(set, index)
	if m == nil || m.Condition != Starting {
		return
	}
	m.Name, m.Doing = name, idle
	if failure == nil {
		// Also where it was given up just before: now it can be of use.
		m.Condition, m.Retired, m.Evidence = Available, false, false
		s.progress(now)
		return
	}
	s.failed(m, *failure, now)
}

// Unhealthy tells that a replica that was available is not any more.
func (s *State) Unhealthy(set string, index int, failure schemas.Failure, now time.Time) {
	if m := s.member(set, index); m != nil && m.Condition == Available {
		s.failed(m, failure, now)
	}
}

// Routed tells that a Route was done.
func (s *State) Routed() {
	s.Routing = false
	s.each(func(m *Member) bool { return m.Doing == joining || m.Doing == leaving }, func(m *Member) {
		m.Routed, m.Busy = m.Doing == joining, m.Doing == leaving
		m.Doing, m.Doubted = idle, false
	})
}

// Drained tells that a replica has no request in flight any more, or was waited for
// long enough.
func (s *State) Drained(set string, index int) {
	if m := s.member(set, index); m != nil && m.Doing == draining {
		m.Doing, m.Busy = idle, false
	}
}

// Removed tells that a replica is gone, or set aside with what was found at it.
func (s *State) Removed(set string, index int, found *schemas.Evidence, now time.Time) {
	for i := range s.Members {
		if m := s.Members[i]; m.Set == set && m.Index == index && m.Doing == removing {
			s.Members = append(s.Members[:i:i], s.Members[i+1:]...)
			break
		}
	}
	if s.Failure != nil && s.Failure.Evidence == nil {
		s.Failure.Evidence = found
	}
	s.progress(now)
}

// Analysed tells how the analysis of a canary step ended.
func (s *State) Analysed(place int, failure *schemas.Failure, now time.Time) {
	if s.Step.Place != place || !s.Step.Running {
		return
	}
	s.Step.Running, s.Step.Analysed = false, true
	if failure != nil && !s.Back && !s.Hurry {
		s.fail(*failure, now)
	}
}

// Broke tells that an action could not be done, for a reason that no retry mends.
func (s *State) Broke(a Action, failure schemas.Failure, now time.Time) {
	switch a.Kind {
	case Route:
		s.Routing = false
		s.each(func(m *Member) bool { return m.Doing == joining || m.Doing == leaving }, func(m *Member) {
			m.Doing = idle
			if s.InPart {
				m.Routed, m.Doubted = true, true
			}
		})
	default:
		if m := s.member(a.Set, a.Index); m != nil {
			m.Doing = idle
			if s.InPart && a.Kind == Remove && m.Condition == Available {
				m.Condition = Present // it may have ended, and not be gone
			}
		}
	}
	s.fail(failure, now)
}

// Interrupted tells that an action was broken off so that another run begins it again.
func (s *State) Interrupted(a Action, name string, now time.Time) {
	m := s.member(a.Set, a.Index)
	switch {
	case a.Kind == Analyse:
		s.Step.Running = s.Step.Running && s.Step.Place != a.Step
	case m == nil:
	case a.Kind == Drain && m.Doing == draining:
		m.Doing = idle
	case (a.Kind == Remove || a.Kind == SetAside) && m.Doing == removing:
		m.Doing = idle
		if m.Condition == Available {
			m.Condition = Present // it may have ended, and not be gone
		}
	case a.Kind == Start && m.Condition == Starting && m.Retired:
		s.Started(a.Set, a.Index, name, &schemas.Failure{Kind: KindCancelled, Message: "was interrupted"}, now)
	case a.Kind == Start && m.Condition == Starting:
		m.Condition, m.Doing = Present, idle
		if name != "" {
			m.Name = name
		}
	}
}

// progress puts the deadline off.
func (s *State) progress(now time.Time) {
	switch {
	case s.Paused:
		s.Left = s.deadline()
	case !s.Deadline.IsZero():
		s.Deadline = now.Add(s.deadline())
	}
}
