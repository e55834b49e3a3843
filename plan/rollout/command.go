package rollout

import (
	"errors"
	"fmt"
	"time"

	"windlass/schemas"
)

// Command does what somebody asks for, or says why that cannot be.
func (s *State) Command(order schemas.RolloutOrder, by string, now time.Time) error {
	switch {
	case s.Done() || s.Stopping:
		return errors.New("the rollout has ended")
	case s.Back:
		return errors.New("the rollout goes back already, which is not held up")
	}
	switch order {
	case schemas.RolloutPause:
		if s.Paused {
			return errors.New("the rollout is paused already")
		}
		s.Paused = true
		if !s.Deadline.IsZero() {
			s.Left, s.Deadline = s.Deadline.Sub(now), time.Time{}
		}
	case schemas.RolloutResume:
		if !s.Paused {
			return errors.New("the rollout is not paused")
		}
		s.Paused = false
		if s.Left > 0 {
			s.Deadline, s.Left = now.Add(s.Left), 0
		}
	case schemas.RolloutPromote:
		return s.promote()
	case schemas.RolloutPromoteAll:
		s.Hurry, s.Step.Running = true, false
	case schemas.RolloutAbort:
		return s.abort(by, now)
	default:
		return fmt.Errorf("%q is no order to a rollout", order)
	}
	return nil
}

// promote ends what the rollout waits for beside replicas.
func (s *State) promote() error {
	switch s.Phase {
	case schemas.RolloutHolding, schemas.RolloutAnalysing:
		s.Step = canaryStep{Place: s.Step.Place + 1}
	case schemas.RolloutWarm, schemas.RolloutMonitoring:
		s.Hurry = true
	default:
		return errors.New("the rollout waits for nothing that could be promoted; promote it as a whole, or wait until it does")
	}
	return nil
}

// abort goes back, also where a failure would not.
func (s *State) abort(by string, now time.Time) error {
	if !s.canGoBack() {
		return errors.New("there is no stable version to go back to")
	}
	s.GoesBack = true
	s.fail(schemas.Failure{Kind: KindAborted, Message: "the rollout was aborted by " + by}, now)
	return nil
}
