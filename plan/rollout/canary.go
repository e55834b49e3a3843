package rollout

import (
	"math"
	"time"

	"windlass/schemas"
)

// canaryStep is how far the canary is.
type canaryStep struct {
	// Place counts from 0; at the number of steps, all are done.
	Place int `json:"place"`
	// Running says that the analysis runs, Analysed that it held.
	Running  bool `json:"running,omitempty"`
	Analysed bool `json:"analysed,omitempty"`
	// Held is when the pause began, zero before.
	Held time.Time `json:"held,omitzero"`
}

// at says whether a step runs.
func (c canaryStep) at(s schemas.Strategy) bool { return c.Place < len(s.Steps) }

func (c canaryStep) wake(s schemas.Strategy) time.Time {
	if !c.at(s) || c.Held.IsZero() {
		return time.Time{}
	}
	if pause := s.Steps[c.Place].Pause; pause != nil && pause.Duration != nil {
		return c.Held.Add(time.Duration(*pause.Duration))
	}
	return time.Time{}
}

// stepReplicas are as many of the target version as the step's share of the requests
// needs, rounded up, and at least one.
func (s *State) stepReplicas() int {
	share := float64(s.Strategy.Steps[s.Step.Place].Weight) / 100
	return min(s.Target.Replicas, max(1, int(math.Ceil(share*float64(s.Target.Replicas)))))
}

// canary gives the target version the share of the requests that the present step
// says; after the last step all of them move.
func (d *decision) canary() {
	for d.Step.at(d.Strategy) {
		if d.Hurry {
			d.Step = canaryStep{Place: len(d.Strategy.Steps)}
			break
		}
		if !d.step(d.Strategy.Steps[d.Step.Place]) {
			return
		}
		d.Step = canaryStep{Place: d.Step.Place + 1}
	}
	d.exchange()
}

// step says whether the present step is over.
func (d *decision) step(step schemas.CanaryStep) bool {
	v, n := d.Target, d.stepReplicas()
	d.retireBroken(v)
	d.recall(v)
	d.fill(v, n, unlimited)
	ready := d.count(func(m *Member) bool { return v.of(m) && m.Index < n && m.usable() })
	if d.Routing || ready < n {
		d.takeOutFailed()
		return false
	}
	var join []*Member
	d.each(func(m *Member) bool { return v.of(m) && m.usable() && !m.Routed && m.Doing == idle }, func(m *Member) { join = append(join, m) })
	d.reroute(join, d.failedInTraffic(), &step.Weight)
	if d.Routing {
		return false
	}
	if step.Analysis != nil && !d.Step.Analysed {
		d.Phase = schemas.RolloutAnalysing
		if !d.Step.Running {
			d.Step.Running = true
			d.do(Action{Kind: Analyse, Step: d.Step.Place})
		}
		return false
	}
	if step.Pause == nil {
		return true
	}
	d.Phase = schemas.RolloutHolding
	if d.Step.Held.IsZero() {
		d.Step.Held = d.now
	}
	return step.Pause.Duration != nil && !d.now.Before(d.Step.wake(d.Strategy))
}
