// Package supervision decides what happens in a rollout whose replicas a place exchanges
// by itself, such as the Deployment controller of Kubernetes. It is pure: it is told what
// happened and when, and says what to do next.
package supervision

import (
	"time"

	"windlass/plan/rollout"
	"windlass/schemas"
)

// Exchange is how far the exchange of the replicas of a Compute has come.
type Exchange struct {
	// Declared is how many replicas there are to be, Updated how many there are of the
	// version that is declared, Ready how many of those are ready, and Available how many
	// have been so for long enough. Old is how many there are of other versions, and
	// OldAvailable how many of those are ready.
	Declared     int `json:"declared"`
	Updated      int `json:"updated"`
	Ready        int `json:"ready"`
	Available    int `json:"available"`
	Old          int `json:"old"`
	OldAvailable int `json:"oldAvailable"`
	// Complete says that the declared version is all that there is, and available.
	Complete bool `json:"complete,omitempty"`
}

// State is one rollout. Its fields are for JSON; callers use the methods.
type State struct {
	// Strategy has its defaults.
	Strategy schemas.Strategy `json:"strategy"`
	// Target is where the rollout leads, Stable where it goes back to; a Stable with an
	// empty Set is nothing to go back to.
	Target rollout.Version `json:"target"`
	Stable rollout.Version `json:"stable"`
	// GoesBack says that a failure goes back to Stable.
	GoesBack bool `json:"goesBack"`

	Phase schemas.RolloutPhase `json:"phase"`
	// Paused says that the place is to start and end no replicas.
	Paused bool `json:"paused,omitempty"`
	// Begun says that the place was told where the way leads and whether it is paused.
	Begun bool `json:"begun,omitempty"`
	// Back says that the way leads back.
	Back bool `json:"back,omitempty"`
	// Seen is what was told of the exchange last.
	Seen    Exchange         `json:"seen"`
	Failure *schemas.Failure `json:"failure,omitempty"`
	// Deadline is when the rollout fails unless the exchange goes on; zero while it is
	// paused. Left is what was left of it then.
	Deadline time.Time     `json:"deadline,omitzero"`
	Left     time.Duration `json:"left,omitempty"`
	// Settled is when the target version was all that there was.
	Settled time.Time `json:"settled,omitzero"`
}

// New begins a rollout.
func New(strategy schemas.Strategy, target, stable rollout.Version, goesBack bool, now time.Time) *State {
	s := &State{Strategy: strategy.WithDefaults(), Target: target, Stable: stable, GoesBack: goesBack, Phase: schemas.RolloutProgressing}
	s.Deadline = now.Add(s.allowed())
	return s
}

// allowed is how long the exchange may stand still.
func (s *State) allowed() time.Duration {
	return time.Duration(s.Strategy.ProgressDeadlineSeconds) * time.Second
}

// Done says that the rollout has ended; Phase says how.
func (s *State) Done() bool { return s.Phase.Final() }

// Goal is where the way leads at present.
func (s *State) Goal() rollout.Version {
	if s.Back {
		return s.Stable
	}
	return s.Target
}

// Wake is when something happens although nothing is told; zero is never.
func (s *State) Wake() time.Time {
	switch {
	case s.Done():
		return time.Time{}
	case s.Phase == schemas.RolloutMonitoring:
		return s.Settled.Add(time.Duration(s.Strategy.Monitor))
	}
	return s.Deadline
}

// Tick tells that time has passed.
func (s *State) Tick(now time.Time) {
	switch {
	case s.Done():
	case s.Phase == schemas.RolloutMonitoring:
		if !now.Before(s.Wake()) {
			s.Phase = schemas.RolloutSucceeded
		}
	case !s.Deadline.IsZero() && !now.Before(s.Deadline):
		s.Fail(schemas.Failure{Kind: rollout.KindDeadline, Message: s.overdue()}, now)
	}
}

// Declared tells that the place knows where the way leads.
func (s *State) Declared() { s.Begun = true }

// Moved tells how far the exchange is now.
func (s *State) Moved(e Exchange, now time.Time) {
	if s.Done() {
		return
	}
	if (e.Available > s.Seen.Available || e.Old < s.Seen.Old) && !s.Deadline.IsZero() {
		s.Deadline = now.Add(s.allowed())
	}
	s.Seen = e
	switch {
	case !e.Complete || s.Paused:
	case s.Back:
		s.Phase = schemas.RolloutRolledBack
	case s.Strategy.Monitor == 0:
		s.Phase = schemas.RolloutSucceeded
	case s.Settled.IsZero():
		s.Settled, s.Phase, s.Deadline = now, schemas.RolloutMonitoring, time.Time{}
	}
}

// Fail goes back to the stable version, or ends the rollout where there is none, where
// nobody wants it, or where the way leads back already.
func (s *State) Fail(failure schemas.Failure, now time.Time) {
	switch {
	case s.Done():
		return
	case s.Failure == nil:
		s.Failure = &failure
	default:
		s.Failure.Message += "; going back failed too: " + failure.Message
	}
	if s.Back || !s.GoesBack || !s.canGoBack() {
		s.Phase = schemas.RolloutFailed
		return
	}
	s.Back, s.Paused, s.Begun, s.Phase, s.Seen = true, false, false, schemas.RolloutRollingBack, Exchange{}
	s.Deadline, s.Left, s.Settled = now.Add(s.allowed()), 0, time.Time{}
}

// canGoBack says whether there is another version to go back to.
func (s *State) canGoBack() bool { return s.Stable.Set != "" && s.Stable.Set != s.Target.Set }
