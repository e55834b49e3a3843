package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"windlass/schemas"
)

// shortVersion is how much of a spec hash tells versions apart for people.
const shortVersion = 8

// Status is the rollout in figures, for people. The caller adds what it is of.
func (s *State) Status() schemas.RolloutStatus {
	status := schemas.RolloutStatus{
		Strategy: s.Strategy.Type, Phase: s.Phase, Paused: s.Paused,
		Step: s.Step.Place, Steps: len(s.Strategy.Steps), Weight: s.Weight, Deadline: s.Deadline, Error: s.Failure,
	}
	sets := map[string]*schemas.RolloutSet{}
	var order []string
	note := func(version, role string, revision, replicas int, image string) {
		if version == "" || sets[version] != nil {
			return
		}
		sets[version] = &schemas.RolloutSet{Role: role, Version: Short(version), Revision: revision, Image: image, Declared: replicas}
		order = append(order, version)
	}
	note(s.Target.Set, schemas.RolloutTarget, s.Target.Revision, s.Target.Replicas, s.Target.Image)
	note(s.Stable.Set, schemas.RolloutStable, s.Stable.Revision, s.Stable.Replicas, s.Stable.Image)
	for _, m := range s.Members {
		note(m.Set, schemas.RolloutOld, m.Revision, 0, m.Image)
		set := sets[m.Set]
		set.There++
		if m.Condition == Available {
			set.Available++
		}
		if m.serves() {
			set.Serving++
		}
		set.Replicas = append(set.Replicas, schemas.RolloutReplica{Index: m.Index, State: m.state()})
	}
	for _, version := range order {
		slices.SortFunc(sets[version].Replicas, func(a, b schemas.RolloutReplica) int { return a.Index - b.Index })
		status.Sets = append(status.Sets, *sets[version])
	}
	status.Message = s.message()
	return status
}

// Short is the beginning of a version, which tells versions apart for people.
func Short(version string) string {
	return version[:min(len(version), shortVersion)]
}

// state is what people call the replica's condition.
func (m *Member) state() string {
	switch {
	case m.Doing == removing && m.Evidence:
		return "set aside"
	case m.Doing != idle:
		return string(m.Doing)
	case m.Condition == Available && m.Routed:
		return "serving"
	default:
		return string(m.Condition)
	}
}

// message says in words what the rollout is at.
func (s *State) message() string {
	goal := s.goal()
	serving := s.count(func(m *Member) bool { return goal.of(m) && m.serves() })
	text := fmt.Sprintf("%d of %d replicas serve", serving, goal.Replicas)
	others := s.count(func(m *Member) bool { return !goal.of(m) })
	if others > 0 {
		text += fmt.Sprintf(", %d of other versions are there", others)
	}
	switch {
	case s.Phase == schemas.RolloutHolding && s.Step.at(s.Strategy) && s.Strategy.Steps[s.Step.Place].Pause.Duration == nil:
		text += "; waits until it is promoted"
	case s.Phase == schemas.RolloutHolding && s.Step.at(s.Strategy):
		text += "; holds the step until " + clock(s.Step.wake(s.Strategy))
	case s.Phase == schemas.RolloutAnalysing:
		text += "; measures the new version"
	case (s.Phase == schemas.RolloutWarm || s.Phase == schemas.RolloutMonitoring) && s.window() > 0:
		text += "; watches it until " + clock(s.Settled.Add(s.window()))
	}
	if failing := s.waiting(); failing != "" {
		text += "; waits for " + failing
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// waiting names the replicas that are starting.
func (s *State) waiting() string {
	const most = 5
	var names []string
	s.each(func(m *Member) bool { return m.Condition == Starting }, func(m *Member) { names = append(names, fmt.Sprint(m.Index)) })
	if len(names) == 0 {
		return ""
	}
	text := "replicas " + strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
