package rollout

import (
	"time"

	"windlass/schemas"
)

// The kinds of failure that a rollout finds by itself.
const (
	KindDeadline = "ProgressDeadlineExceeded"
	KindAborted  = "Aborted"
	// KindCancelled is what was broken off before it ended.
	KindCancelled = "Cancelled"
)

// failed notes a replica that failed, and fails the rollout when there are too many.
func (s *State) failed(m *Member, failure schemas.Failure, now time.Time) {
	m.Condition, m.Retired = Failed, true
	if !s.goal().of(m) {
		return
	}
	m.Evidence = m.Evidence || s.Failures == 0
	s.Failures++
	if float64(s.Failures) > s.tolerated() {
		s.fail(failure, now)
	}
}

// tolerated is how many replicas may fail. On the way back each may fail once: there
// is nowhere else to go.
func (s *State) tolerated() float64 {
	if s.Back {
		return float64(s.Stable.Replicas)
	}
	return s.Strategy.MaxFailureRatio * float64(s.Target.Replicas)
}

// fail turns the way back to the stable version, or stops where there is none, where
// nobody wants it, or where the way leads back already.
func (s *State) fail(failure schemas.Failure, now time.Time) {
	if s.Stopping {
		return
	}
	if s.Failure == nil {
		s.Failure = &failure
	} else if s.Back {
		s.Failure.Message += "; going back failed too: " + failure.Message
	}
	if !s.GoesBack || s.Back || !s.canGoBack() {
		s.Stopping, s.Paused = true, false
		return
	}
	s.goBack(now)
}

// canGoBack says whether there is another version to go back to.
func (s *State) canGoBack() bool { return s.Stable.Set != "" && s.Stable.Set != s.Target.Set }

func (s *State) goBack(now time.Time) {
	s.Back, s.Paused, s.Failures, s.Settled = true, false, 0, time.Time{}
	s.Deadline, s.Step.Running = now.Add(s.deadline()), false
	s.each(func(m *Member) bool { return !s.Stable.of(m) && m.Condition == Starting }, func(m *Member) { m.Retired = true })
}
