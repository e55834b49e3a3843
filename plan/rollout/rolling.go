package rollout

// roll leads to a version a few replicas at a time: it starts as many as may be above
// the declared ones, and takes out as many as need not serve. With recreate, nothing
// starts while anything else is there.
func (d *decision) roll(v Version, recreate bool) {
	surge, unavailable := d.Strategy.Limits(v.Replicas)
	if recreate {
		surge, unavailable = 0, v.Replicas
	}
	d.retireBroken(v)
	d.recall(v)
	if !recreate || d.alone(v) {
		d.fill(v, v.Replicas, v.Replicas+surge-len(d.Members))
	}
	d.shift(v, v.Replicas-unavailable)
	d.retireIdle(v, v.Replicas-unavailable)
}

// retireIdle has replicas of other versions go that are well and get no requests, such
// as those that an exchange kept, while enough others are well.
func (d *decision) retireIdle(v Version, enough int) {
	spare := d.count((*Member).usable) - enough
	d.each(func(m *Member) bool { return !v.of(m) && m.usable() && !m.Routed && m.Doing == idle }, func(m *Member) {
		if spare > 0 {
			spare--
			m.Retired = true
		}
	})
}

// recall keeps replicas of a version that were about to go, as far as they still are
// what they were, or nobody knows what they are.
func (d *decision) recall(v Version) {
	d.each(func(m *Member) bool { return v.of(m) && m.Retired && m.Condition == Present && m.Doing == idle }, func(m *Member) { m.Retired = false })
	d.each(func(m *Member) bool {
		return v.of(m) && m.Retired && m.Condition == Available && (m.Doing == idle || m.Doing == draining)
	}, func(m *Member) {
		if m.Doing == draining {
			d.with(Cancel, m)
		}
		m.Retired, m.Doing = false, idle
	})
}

// shift passes requests to what is available of a version, and takes from other
// versions what is more than enough. What failed leaves in any case.
func (d *decision) shift(v Version, enough int) {
	if d.Routing {
		return
	}
	leave := d.failedInTraffic()
	var join []*Member
	d.each(func(m *Member) bool { return v.of(m) && m.usable() && (!m.Routed || m.Doubted) && m.Doing == idle }, func(m *Member) { join = append(join, m) })
	serving := len(join) + d.count((*Member).serves)
	d.each(func(m *Member) bool { return !v.of(m) && m.Doubted && m.Condition == Available && m.Doing == idle }, func(m *Member) {
		if serving >= enough {
			m.Retired = true
			leave = append(leave, m)
		}
	})
	d.each(func(m *Member) bool { return !v.of(m) && m.serves() && m.Doing == idle }, func(m *Member) {
		if serving > enough {
			serving--
			m.Retired = true
			leave = append(leave, m)
		}
	})
	d.reroute(join, leave, nil)
}
