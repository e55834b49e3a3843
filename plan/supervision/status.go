package supervision

import (
	"fmt"

	"windlass/plan/rollout"
	"windlass/schemas"
)

// Status is the rollout in figures, for people. The caller adds what it is of.
func (s *State) Status() schemas.RolloutStatus {
	set := func(role string, v rollout.Version) schemas.RolloutSet {
		of := schemas.RolloutSet{Role: role, Version: rollout.Short(v.Set), Revision: v.Revision, Image: v.Image, Declared: v.Replicas}
		if v == s.Goal() {
			of.Declared, of.There, of.Available = s.declared(), s.Seen.Updated, s.Seen.Available
		} else {
			of.There, of.Available = s.Seen.Old, s.Seen.OldAvailable
		}
		of.Serving = of.Available
		return of
	}
	status := schemas.RolloutStatus{
		Strategy: s.Strategy.Type, Phase: s.Phase, Paused: s.Paused, Deadline: s.Deadline, Error: s.Failure, Message: s.message(),
		Sets: []schemas.RolloutSet{set(schemas.RolloutTarget, s.Target)},
	}
	if s.shares() {
		weight := s.Beside.Weight
		if s.Phase == schemas.RolloutMonitoring || s.Phase == schemas.RolloutSucceeded {
			weight = 100
		}
		status.Step, status.Steps, status.Weight = s.Step, len(s.Strategy.Steps), &weight
	}
	switch {
	case s.canGoBack():
		status.Sets = append(status.Sets, set(schemas.RolloutStable, s.Stable))
	case s.Seen.Old > 0:
		status.Sets = append(status.Sets, set(schemas.RolloutOld, rollout.Version{}))
	}
	return status
}

// declared is how many replicas there are to be. The place knows it best, since another
// controller may decide on it.
func (s *State) declared() int {
	if s.Seen == (Exchange{}) {
		return s.Goal().Replicas
	}
	return s.Seen.Declared
}

// message says in words what the rollout is at.
func (s *State) message() string {
	text := fmt.Sprintf("%d of %d replicas are available", s.Seen.Available, s.declared())
	if s.Seen.Old > 0 {
		text += fmt.Sprintf(", %d of other versions are there", s.Seen.Old)
	}
	if waiting := s.Seen.Updated - s.Seen.Available; waiting > 0 {
		text += fmt.Sprintf("; waits for %d", waiting)
	}
	if s.holds() {
		what := "; holds"
		if s.Phase == schemas.RolloutWarm {
			what = "; keeps the stable version warm"
		}
		text += what + " until it is promoted"
		if until := s.heldUntil(); !until.IsZero() {
			text += ", or " + until.UTC().Format("15:04:05") + " UTC"
		}
	}
	if s.Phase == schemas.RolloutMonitoring {
		text += "; watches them until " + s.watchedUntil().UTC().Format("15:04:05") + " UTC"
	}
	return text
}

// overdue is the failure of a rollout that stood still for too long.
func (s *State) overdue() schemas.Failure {
	return schemas.Failure{
		Kind: rollout.KindDeadline, Field: "properties.strategy.progressDeadlineSeconds",
		Message: fmt.Sprintf("no replica became available within %s: %s", s.allowed(), s.message()),
		Hint:    "look at what the replica says, or give it more time",
	}
}
