package supervision

import (
	"errors"
	"fmt"
	"time"

	"windlass/plan/rollout"
	"windlass/schemas"
)

// Command does what somebody asks for, or says why that cannot be.
func (s *State) Command(order schemas.RolloutOrder, by string, now time.Time) error {
	switch {
	case s.Done():
		return errors.New("the rollout has ended")
	case s.Back:
		return errors.New("the rollout goes back already, which is not held up")
	}
	switch order {
	case schemas.RolloutPause:
		return s.pause(now)
	case schemas.RolloutResume:
		if !s.Paused {
			return errors.New("the rollout is not paused")
		}
		s.Paused, s.Begun = false, false
		s.Deadline, s.Left = now.Add(s.Left), 0
		s.Seen.Complete = false // what was complete meanwhile is to be told again
		if s.holds() {
			s.Phase = schemas.RolloutProgressing // until it is seen to be complete still
		}
	case schemas.RolloutPromote:
		if s.holds() && !s.Paused {
			s.nextStep(now)
			return nil
		}
		if s.Phase != schemas.RolloutMonitoring {
			return errors.New("the rollout waits for nothing that could be promoted; promote it as a whole, or wait until it does")
		}
		s.Phase = schemas.RolloutSucceeded
	case schemas.RolloutPromoteAll:
		s.Hurry = true
		if s.Phase == schemas.RolloutMonitoring {
			s.settle(now)
		}
		if s.Beside.Apart() && !s.Paused {
			s.nextStep(now)
		}
	case schemas.RolloutAbort:
		if !s.canGoBack() {
			return errors.New("there is no stable version to go back to")
		}
		s.GoesBack = true
		s.Fail(schemas.Failure{Kind: rollout.KindAborted, Message: "the rollout was aborted by " + by}, now)
	default:
		return fmt.Errorf("%q is no order to a rollout", order)
	}
	return nil
}

func (s *State) pause(now time.Time) error {
	switch {
	case s.Paused:
		return errors.New("the rollout is paused already")
	case s.Phase == schemas.RolloutMonitoring:
		return errors.New("every replica is of the new version already, which leaves nothing to pause")
	}
	s.Paused, s.Begun = true, false
	s.Left = max(0, s.Deadline.Sub(now))
	if s.holds() {
		s.Left = s.allowed() // nothing is waited for
	}
	s.Deadline = time.Time{}
	return nil
}
