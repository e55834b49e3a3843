package supervision

import (
	"fmt"
	"time"

	"windlass/plan/rollout"
	"windlass/schemas"
)

// Status is the rollout in figures, for people. The caller adds what it is of.
func (s *State) Status() schemas.RolloutStatus {
	goal, other := s.Goal(), s.Stable
	if s.Back {
		other = s.Target
	}
	set := func(role string, v rollout.Version, declared, there, available int) schemas.RolloutSet {
		return schemas.RolloutSet{
			Role: role, Version: rollout.Short(v.Set), Revision: v.Revision, Image: v.Image,
			Declared: declared, There: there, Available: available, Serving: available,
		}
	}
	role, otherRole := schemas.RolloutTarget, schemas.RolloutStable
	if s.Back {
		role, otherRole = otherRole, role
	}
	status := schemas.RolloutStatus{
		Strategy: s.Strategy.Type, Phase: s.Phase, Paused: s.Paused, Deadline: s.Deadline, Error: s.Failure, Message: s.message(),
		Sets: []schemas.RolloutSet{set(role, goal, max(s.Seen.Declared, goal.Replicas), s.Seen.Updated, s.Seen.Available)},
	}
	if other.Set != "" && other.Set != goal.Set {
		status.Sets = append(status.Sets, set(otherRole, other, other.Replicas, s.Seen.Old, s.Seen.OldAvailable))
	} else if s.Seen.Old > 0 {
		status.Sets = append(status.Sets, set(schemas.RolloutOld, rollout.Version{}, 0, s.Seen.Old, s.Seen.OldAvailable))
	}
	return status
}

// message says in words what the rollout is at.
func (s *State) message() string {
	text := fmt.Sprintf("%d of %d replicas are available", s.Seen.Available, max(s.Seen.Declared, s.Goal().Replicas))
	if s.Seen.Old > 0 {
		text += fmt.Sprintf(", %d of other versions are there", s.Seen.Old)
	}
	if waiting := s.Seen.Updated - s.Seen.Available; waiting > 0 {
		text += fmt.Sprintf("; waits for %d", waiting)
	}
	if s.Phase == schemas.RolloutMonitoring {
		text += "; watches them until " + s.Wake().UTC().Format("15:04:05") + " UTC"
	}
	return text
}

// overdue says what the deadline found.
func (s *State) overdue() string {
	return fmt.Sprintf("no replica became available in %s: %s", time.Duration(s.Strategy.ProgressDeadlineSeconds)*time.Second, s.message())
}
