package rollout

import (
	"math"

	"windlass/schemas"
)

// unlimited is room for every replica of a version beside all others.
const unlimited = math.MaxInt

// exchange makes all of the target version, moves all requests to it at once, and
// keeps the others while it is watched.
func (d *decision) exchange() {
	v := d.Target
	d.retireBroken(v)
	d.recall(v)
	d.fill(v, v.Replicas, unlimited)
	if d.Routing {
		return
	}
	leave := d.failedInTraffic()
	var join []*Member
	d.each(func(m *Member) bool { return v.of(m) && m.usable() && !m.Routed && m.Doing == idle }, func(m *Member) { join = append(join, m) })
	ready := len(join) + d.count(func(m *Member) bool { return v.of(m) && m.serves() })
	others := func(m *Member) bool { return !v.of(m) && m.serves() && m.Doing == idle }
	switch {
	case d.Settled.IsZero() && ready < v.Replicas:
		d.reroute(nil, leave, d.Weight)
		return
	case d.Settled.IsZero():
		d.each(others, func(m *Member) { leave = append(leave, m) })
	}
	d.reroute(join, leave, nil)
	if d.Routing || !d.complete(v) {
		return
	}
	d.Phase = schemas.RolloutWarm
	if d.watched() {
		d.each(func(m *Member) bool { return !v.of(m) }, func(m *Member) { m.Retired = true })
	}
}
