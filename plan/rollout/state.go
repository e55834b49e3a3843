package rollout

import (
	"slices"
	"time"

	"windlass/schemas"
)

// State is one rollout. Its fields are for JSON; callers use the methods.
type State struct {
	// Strategy has its defaults.
	Strategy schemas.Strategy `json:"strategy"`
	// Target is where the rollout leads, Stable where it goes back to; a Stable with an
	// empty Set is nothing to go back to.
	Target Version `json:"target"`
	Stable Version `json:"stable"`
	// Balanced says that proxies pass requests to the replicas.
	Balanced bool `json:"balanced"`
	// GoesBack says that a failure goes back to Stable.
	GoesBack bool     `json:"goesBack"`
	Members  []Member `json:"members"`

	Phase  schemas.RolloutPhase `json:"phase"`
	Paused bool                 `json:"paused,omitempty"`
	// Back says that the way leads back. Stopping says that nothing begins any more.
	Back     bool `json:"back,omitempty"`
	Stopping bool `json:"stopping,omitempty"`
	// Hurry says that somebody promoted the rollout as a whole.
	Hurry bool `json:"hurry,omitempty"`
	// Failures counts the replicas that failed on the present way.
	Failures int              `json:"failures,omitempty"`
	Failure  *schemas.Failure `json:"failure,omitempty"`
	// Deadline is when the rollout fails unless a replica becomes available; zero while
	// none is waited for. Left is what was left of it when the rollout paused.
	Deadline time.Time     `json:"deadline,omitzero"`
	Left     time.Duration `json:"left,omitempty"`
	// Routing says that a Route action runs.
	Routing bool `json:"routing,omitempty"`
	// Weight is the share of the requests that the target version gets, in percent; nil
	// is without shares.
	Weight *int `json:"weight,omitempty"`
	// Settled is when the requests were all with the target version.
	Settled time.Time `json:"settled,omitzero"`
	// Step is the place of the canary step that runs.
	Step canaryStep `json:"step,omitzero"`
	// MostStarting bounds the replicas that start at the same time; 0 does not.
	MostStarting int `json:"mostStarting,omitempty"`
	// InPart says that an action that could not be done may have been done in part.
	InPart bool `json:"inPart,omitempty"`
}

// MostStarting is how many replicas start at the same time, however many more there may
// be: an engine that makes more of them at once has each ready later, and none sooner.
const MostStarting = 32

// Version is one set of equal replicas.
type Version struct {
	// Set is the spec hash that its containers carry.
	Set      string `json:"set"`
	Replicas int    `json:"replicas"`
	Revision int    `json:"revision,omitempty"`
	Image    string `json:"image,omitempty"`
}

// Condition is how well a replica is.
type Condition string

// The conditions.
const (
	// Present is a container of which nothing is known yet.
	Present   Condition = "present"
	Starting  Condition = "starting"
	Available Condition = "available"
	Failed    Condition = "failed"
)

// activity is what is being done with a replica.
type activity string

const (
	idle       activity = ""
	joining    activity = "joining"
	leaving    activity = "leaving"
	draining   activity = "draining"
	removing   activity = "removing"
	cancelling activity = "cancelling"
)

// Member is one replica of some version.
type Member struct {
	Set       string    `json:"set"`
	Index     int       `json:"index"`
	Name      string    `json:"name,omitempty"`
	Condition Condition `json:"condition"`
	// Routed says that requests are passed to it, or were until just now.
	Routed bool `json:"routed,omitempty"`
	// Doubted says that only some of the proxies may do so: it does not count as serving,
	// and still has to be taken out before it goes.
	Doubted bool `json:"doubted,omitempty"`
	// Busy says that it may have requests in flight although it is not routed.
	Busy bool `json:"busy,omitempty"`
	// Retired says that it is to go.
	Retired bool `json:"retired,omitempty"`
	// Evidence says that it is kept when it goes, so that somebody can look at it.
	Evidence bool     `json:"evidence,omitempty"`
	Doing    activity `json:"doing,omitempty"`
	Revision int      `json:"revision,omitempty"`
	Image    string   `json:"image,omitempty"`
}

// New begins a rollout from the replicas that there are. Their conditions are
// Present, Available or Failed. Without proxies, what is available is routed.
func New(strategy schemas.Strategy, target, stable Version, balanced, goesBack bool, found []Member) *State {
	s := &State{Strategy: strategy.WithDefaults(), Target: target, Stable: stable, Balanced: balanced, GoesBack: goesBack, Phase: schemas.RolloutProgressing}
	for _, m := range found {
		if !balanced {
			m.Routed = m.Condition == Available
		}
		m.Busy = balanced && !m.Routed && m.Condition == Available
		m.Retired = m.Condition == Failed
		s.Members = append(s.Members, m)
	}
	return s
}

// Done says that the rollout has ended; Phase says how.
func (s *State) Done() bool { return s.Phase.Final() }

// goal is where the way leads at present.
func (s *State) goal() Version {
	if s.Back {
		return s.Stable
	}
	return s.Target
}

func (s *State) member(set string, index int) *Member {
	at := slices.IndexFunc(s.Members, func(m Member) bool { return m.Set == set && m.Index == index })
	if at < 0 {
		return nil
	}
	return &s.Members[at]
}

// each calls f with every member that holds.
func (s *State) each(holds func(*Member) bool, f func(*Member)) {
	for i := range s.Members {
		if m := &s.Members[i]; holds(m) {
			f(m)
		}
	}
}

func (s *State) count(holds func(*Member) bool) int {
	n := 0
	s.each(holds, func(*Member) { n++ })
	return n
}

// of says whether a member is one of the declared replicas of a version.
func (v Version) of(m *Member) bool { return m.Set == v.Set && m.Index >= 0 && m.Index < v.Replicas }

// serves says whether requests that come now may go to the member.
func (m *Member) serves() bool {
	return m.Routed && !m.Doubted && m.Condition == Available && m.Doing != leaving
}

// usable says whether the member can get requests as soon as it is routed.
func (m *Member) usable() bool {
	return m.Condition == Available && !m.Retired && m.Doing != removing
}

// Known are the indexes of the target version's replicas that are available.
func (s *State) Known() []int {
	var known []int
	s.each(func(m *Member) bool { return s.Target.of(m) && m.Condition == Available && !m.Retired }, func(m *Member) { known = append(known, m.Index) })
	return known
}

// Idle says that no action runs.
func (s *State) Idle() bool {
	return !s.Routing && !s.Step.Running && s.count(func(m *Member) bool { return m.Doing != idle || m.Condition == Starting }) == 0
}
