package supervision

import (
	"time"

	"windlass/schemas"
)

// Beside is the part that runs beside the stable version; without replicas there is none.
type Beside struct {
	Replicas int `json:"replicas"`
	// Weight is its share of the requests, in percent.
	Weight int `json:"weight"`
	// Main says that the stable version is exchanged now, while this part takes the
	// requests.
	Main bool `json:"main,omitempty"`
}

// Apart says that the version runs beside the stable one only.
func (b Beside) Apart() bool { return b.Replicas > 0 && !b.Main }

// shares says that the target version runs beside the stable one before it takes its place.
func (s *State) shares() bool {
	kind := s.Strategy.Type
	return s.canGoBack() && (kind == schemas.StrategyCanary || kind == schemas.StrategyBlueGreen)
}

// steps are those of a canary. To move all requests at once and keep the stable version
// warm is one step of them.
func (s *State) steps() []schemas.CanaryStep {
	if s.Strategy.Type == schemas.StrategyBlueGreen {
		return []schemas.CanaryStep{{Weight: 100, Pause: &schemas.CanaryPause{Duration: s.Strategy.Warm}}}
	}
	return s.Strategy.Steps
}

// stepsLeft says whether a step is not done.
func (s *State) stepsLeft() bool { return !s.Hurry && s.Step < len(s.steps()) }

// stepWeight is the share of the requests that the present step gives the target
// version; after the last step it is all of them.
func (s *State) stepWeight() int {
	if !s.stepsLeft() {
		return 100
	}
	return s.steps()[s.Step].Weight
}

// stepReplicas are as many as the share of the requests needs, rounded up, and at least
// one.
func (s *State) stepReplicas() int {
	return max(1, (s.stepWeight()*s.Target.Replicas+99)/100)
}

// canary goes on from a part that is complete: it gets the requests of the step, holds,
// and makes room for the next step. When it has all requests, the stable version is
// exchanged behind it.
func (s *State) canary(now time.Time) {
	weight := s.stepWeight()
	switch {
	case s.Beside.Replicas < s.stepReplicas() || s.Beside.Weight != weight:
		s.turn(Beside{Replicas: max(s.Beside.Replicas, s.stepReplicas()), Weight: weight}, now)
	case !s.stepsLeft():
		s.turn(Beside{Replicas: s.Beside.Replicas, Weight: weight, Main: true}, now)
	case s.steps()[s.Step].Pause == nil:
		s.nextStep(now)
	default:
		if s.Held.IsZero() {
			s.Held = now
		}
		s.Phase, s.Deadline = schemas.RolloutHolding, time.Time{}
		if s.Strategy.Type == schemas.StrategyBlueGreen {
			s.Phase = schemas.RolloutWarm
		}
	}
}

// holds says that a step waits, for its time or for somebody.
func (s *State) holds() bool {
	return s.Phase == schemas.RolloutHolding || s.Phase == schemas.RolloutWarm
}

// nextStep has the part grow to what the next step needs; its share stays what it is until
// the part is complete.
func (s *State) nextStep(now time.Time) {
	if s.stepsLeft() {
		s.Step++
	}
	s.Held = time.Time{}
	s.turn(Beside{Replicas: max(s.Beside.Replicas, s.stepReplicas()), Weight: s.Beside.Weight}, now)
}

// turn leads the way to another part.
func (s *State) turn(b Beside, now time.Time) {
	s.Beside, s.Begun, s.Phase = b, false, schemas.RolloutProgressing
	s.Seen, s.Reached, s.Deadline = Exchange{}, nil, now.Add(s.allowed())
}

// heldUntil is the end of the present hold; zero is when somebody promotes it, or resumes.
func (s *State) heldUntil() time.Time {
	if pause := s.steps()[s.Step].Pause; !s.Paused && pause != nil && pause.Duration != nil {
		return s.Held.Add(time.Duration(*pause.Duration))
	}
	return time.Time{}
}
