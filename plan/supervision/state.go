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
	// Newest is when the youngest available replica of the declared version was made, in
	// seconds since 1970. What was made later may still be on its way to be ready.
	Newest int64 `json:"newest,omitempty"`
}

// Way is what a place is told of a rollout.
type Way struct {
	// Back says that it leads to the stable version.
	Back bool `json:"back,omitempty"`
	// Paused says that the place is to start and end no replicas.
	Paused bool `json:"paused,omitempty"`
	// Beside has the version run beside the stable one.
	Beside Beside `json:"beside,omitzero"`
}

// reached is how far the exchange has come at best on the present way.
type reached struct {
	// Available is the most replicas of the declared version that were available, Old the
	// fewest that there were of others.
	Available int `json:"available"`
	Old       int `json:"old"`
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
	Way
	// Begun says that the place was told the present way. Touched says that it was told
	// any, or may have been.
	Begun   bool `json:"begun,omitempty"`
	Touched bool `json:"touched,omitempty"`
	// Hurry says that somebody promoted the rollout as a whole.
	Hurry bool `json:"hurry,omitempty"`
	// Seen is what was told of the exchange last, and Reached the best of it; nil is
	// nothing yet.
	Seen    Exchange         `json:"seen"`
	Reached *reached         `json:"reached,omitempty"`
	Failure *schemas.Failure `json:"failure,omitempty"`
	// Deadline is when the rollout fails unless the exchange goes on; zero while it is
	// paused, or complete. Left is what was left of it when it was paused.
	Deadline time.Time     `json:"deadline,omitzero"`
	Left     time.Duration `json:"left,omitempty"`
	// Step counts the steps of a canary that are done. Held is when the present one began
	// to hold, zero before.
	Step int       `json:"step,omitempty"`
	Held time.Time `json:"held,omitzero"`
	// Settled is when the target version was all that there was for the first time.
	Settled time.Time `json:"settled,omitzero"`
}

// New begins a rollout.
func New(strategy schemas.Strategy, target, stable rollout.Version, goesBack bool, now time.Time) *State {
	s := &State{Strategy: strategy.WithDefaults(), Target: target, Stable: stable, GoesBack: goesBack, Phase: schemas.RolloutProgressing}
	s.Deadline = now.Add(s.allowed())
	if s.shares() {
		s.Beside = Beside{Replicas: s.stepReplicas()}
	}
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
		return s.watchedUntil()
	case s.holds():
		return s.heldUntil()
	}
	return s.Deadline
}

// watchedUntil is the end of the time in which the target version is watched.
func (s *State) watchedUntil() time.Time {
	return s.Settled.Add(time.Duration(s.Strategy.Monitor))
}

// Tick tells that time has passed.
func (s *State) Tick(now time.Time) {
	switch {
	case s.Done():
	case s.Phase == schemas.RolloutMonitoring:
		s.settle(now)
	case s.holds():
		if until := s.heldUntil(); !until.IsZero() && !now.Before(until) {
			s.nextStep(now)
		}
	case !s.Deadline.IsZero() && !now.Before(s.Deadline):
		s.Fail(s.overdue(), now)
	}
}

// Telling tells that a place is about to be told the present way.
func (s *State) Telling() { s.Touched = true }

// Told tells that the place knows of a way, which may not be the present one any more.
func (s *State) Told(w Way) { s.Begun = s.Begun || w == s.Way }

// Refused tells that the place cannot go a way, which may not be the present one any more.
func (s *State) Refused(w Way, failure schemas.Failure, now time.Time) {
	if w.Back == s.Back {
		s.Fail(failure, now)
	}
}

// Moved tells how far the exchange is now.
func (s *State) Moved(e Exchange, now time.Time) {
	if s.Done() {
		return
	}
	if s.advances(e) {
		s.putOff(now)
	}
	s.Seen = e
	switch {
	case s.Paused:
	case s.Back:
		if e.Complete {
			s.Phase = schemas.RolloutRolledBack
		}
	case e.Complete && s.Beside.Apart():
		s.canary(now)
	case e.Complete:
		s.settle(now)
	case s.Phase == schemas.RolloutMonitoring, s.holds():
		// A replica is being replaced. The time goes on: it would never be over where a
		// place changes the number of replicas all the time.
		s.Phase, s.Deadline = schemas.RolloutProgressing, now.Add(s.allowed())
	}
}

// advances says whether the exchange has come further than ever on the present way. One
// that only sways back and forth does not.
func (s *State) advances(e Exchange) bool {
	if s.Reached == nil {
		s.Reached = &reached{Old: e.Old}
	}
	best := *s.Reached
	s.Reached = &reached{Available: max(best.Available, e.Available), Old: min(best.Old, e.Old)}
	return *s.Reached != best
}

// putOff gives the exchange the whole time again.
func (s *State) putOff(now time.Time) {
	switch {
	case s.Paused:
		s.Left = s.allowed()
	case !s.Deadline.IsZero():
		s.Deadline = now.Add(s.allowed())
	}
}

// settle watches the target version, which is all that there is, for as long as it is to be.
func (s *State) settle(now time.Time) {
	if s.Settled.IsZero() {
		s.Settled = now
	}
	s.Phase, s.Deadline = schemas.RolloutMonitoring, time.Time{}
	if s.Hurry || !now.Before(s.watchedUntil()) {
		s.Phase = schemas.RolloutSucceeded
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
	s.Way, s.Begun, s.Phase = Way{Back: true}, false, schemas.RolloutRollingBack
	s.Seen, s.Reached = Exchange{}, nil
	s.Deadline, s.Left, s.Settled = now.Add(s.allowed()), 0, time.Time{}
}

// Explain adds to the failure what was found at a replica, where nothing is known of it yet.
func (s *State) Explain(found *schemas.Evidence) {
	if s.Failure != nil && s.Failure.Evidence == nil {
		s.Failure.Evidence = found
	}
}

// Moving says whether the place may go on by itself when nobody supervises it any more.
func (s *State) Moving() bool { return s.Touched && !s.Seen.Complete }

// canGoBack says whether there is another version to go back to.
func (s *State) canGoBack() bool { return s.Stable.Set != "" && s.Stable.Set != s.Target.Set }
