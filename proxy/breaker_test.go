package proxy

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// model is a breaker as it is told to people: it remembers everything.
type model struct {
	policy  traffic.CircuitBreaker
	state   breakerState
	opened  time.Time
	history []bool
	// probe is the request that a half-open one has let through, and spell counts how often
	// it was closed.
	probe, spell int
}

// passed is a request that a model has let through.
type passed struct {
	id, spell int
	probe     bool
	turn      uint64 // the breaker's
}

func (m *model) allow(now time.Time, id int) (passed, bool) {
	switch {
	case m.state == breakerClosed:
		return passed{id: id, spell: m.spell}, true
	case m.state == breakerOpen && now.Sub(m.opened) >= duration(m.policy.RecoveryTimeout):
		m.state, m.probe = breakerHalfOpen, id
		return passed{id: id, probe: true}, true
	}
	return passed{}, false
}

// report is of consequence for the probe that is out, and for requests of a breaker that
// has been closed ever since.
func (m *model) report(now time.Time, p passed, fault bool) {
	switch {
	case p.probe && m.state == breakerHalfOpen && m.probe == p.id:
		m.state, m.opened = breakerOpen, now
		if !fault {
			m.state, m.history = breakerClosed, nil
			m.spell++
		}
		return
	case p.probe || m.state != breakerClosed || m.spell != p.spell:
		return
	}
	m.history = append(m.history, fault)
	inRow := 0
	for i := len(m.history) - 1; i >= 0 && m.history[i]; i-- {
		inRow++
	}
	window := m.history[max(0, len(m.history)-100):]
	faults := 0
	for _, f := range window {
		if f {
			faults++
		}
	}
	ratio := m.policy.FailureThreshold > 0 && len(window) >= m.policy.MaxFailures && float64(faults) >= m.policy.FailureThreshold*float64(len(window))
	if inRow >= m.policy.MaxFailures || ratio {
		m.state, m.opened = breakerOpen, now
	}
}

func (m *model) forget(p passed) {
	if p.probe && m.state == breakerHalfOpen && m.probe == p.id {
		m.state = breakerOpen
	}
}

func TestABreakerDoesWhatItsModelDoes(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 9))
		now := time.Unix(1_000_000, 0)
		policy := traffic.CircuitBreaker{MaxFailures: 1 + random.IntN(8), FailureThreshold: []float64{0, 0.3, 0.5, 1}[random.IntN(4)], RecoveryTimeout: period(time.Second)}
		b := newBreaker(policy, func() time.Time { return now })
		m := &model{policy: policy, state: breakerClosed}
		var waiting []passed // requests that were let through and have not ended
		for step := range 1500 {
			switch random.IntN(5) {
			case 0:
				now = now.Add(time.Duration(random.IntN(400)) * time.Millisecond)
			case 1, 2:
				ready := b.ready()
				turn, allowed := b.allow()
				require.Equal(t, ready, allowed, "seed %d, step %d", seed, step)
				p, expected := m.allow(now, step)
				require.Equal(t, expected, allowed, "seed %d, step %d", seed, step)
				if p.turn = turn; allowed {
					waiting = append(waiting, p)
				}
			default:
				if len(waiting) == 0 {
					continue
				}
				at := random.IntN(len(waiting)) // they end in any order
				p := waiting[at]
				waiting = append(waiting[:at], waiting[at+1:]...)
				if random.IntN(6) == 0 {
					b.forget(p.turn)
					m.forget(p)
					break
				}
				fault := random.IntN(3) == 0
				b.report(p.turn, fault)
				m.report(now, p, fault)
			}
			require.Equal(t, m.state, b.current(), "seed %d, step %d", seed, step)
		}
	}
}

func TestAProbeThatWasNeverSentIsNoProbe(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBreaker(traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Second)}, func() time.Time { return now })
	late, allowed := b.allow()
	require.True(t, allowed)
	first, allowed := b.allow()
	require.True(t, allowed)
	b.report(first, true)
	now = now.Add(time.Second)
	probe, allowed := b.allow()
	require.True(t, allowed)
	_, allowed = b.allow()
	require.False(t, allowed, "one probe at a time")
	b.report(late, false)
	require.Equal(t, breakerHalfOpen, b.current(), "what was sent before it opened says nothing")
	b.forget(late)
	_, allowed = b.allow()
	require.False(t, allowed, "nor is it the probe")
	b.forget(probe)
	probe, allowed = b.allow()
	require.True(t, allowed, "the next one probes")
	b.report(probe, false)
	require.Equal(t, breakerClosed, b.current())
}

func TestABudgetBoundsRetriesToAShareOfTheRequests(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	b := newBudget(0.2, func() time.Time { return now })
	for range 100 {
		b.request()
	}
	allowed := 0
	for b.retry() {
		allowed++
	}
	require.Equal(t, 23, allowed, "a fifth of the requests, and three")
	now = now.Add(9 * time.Second)
	require.False(t, b.retry())
	now = now.Add(time.Second)
	require.True(t, b.retry(), "ten seconds later it is forgotten")
}

func TestEjectionsGrowAndEnd(t *testing.T) {
	now := time.Unix(0, 0)
	policy := traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(2), BaseEjection: period(10 * time.Second), MaxEjection: period(25 * time.Second)}}.WithDefaults()
	o := newOutlier(*policy.OutlierDetection, func() time.Time { return now })
	for _, length := range []time.Duration{10 * time.Second, 20 * time.Second, 25 * time.Second, 25 * time.Second} {
		require.False(t, o.report(true))
		require.True(t, o.report(true))
		require.True(t, o.eject())
		require.False(t, o.eject(), "it is out already")
		now = now.Add(length - time.Millisecond)
		require.True(t, o.ejected())
		now = now.Add(time.Millisecond)
		require.False(t, o.ejected())
	}
}

func TestEjectionsAreForgottenByAndBy(t *testing.T) {
	now := time.Unix(0, 0)
	policy := traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(1), Interval: period(10 * time.Second), BaseEjection: period(time.Minute)}}.WithDefaults()
	o := newOutlier(*policy.OutlierDetection, func() time.Time { return now })
	for n, well := range []time.Duration{0, 9 * time.Second, 9 * time.Second, 20 * time.Second, 0, time.Hour} {
		now = now.Add(well)
		require.True(t, o.report(true))
		require.True(t, o.eject())
		length := o.until.Sub(now)
		require.Equal(t, time.Duration([]int{1, 2, 3, 2, 3, 1}[n])*time.Minute, length, "ejection %d", n)
		now = o.until
	}
}

func TestTheShareOfFaultsEjects(t *testing.T) {
	now := time.Unix(0, 0)
	policy := traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(0), ErrorRatio: 0.3, MinRequests: 10, Interval: period(10 * time.Second)}}.WithDefaults()
	o := newOutlier(*policy.OutlierDetection, func() time.Time { return now })
	reports := func(n int, fault bool) (due bool) {
		for range n {
			due = o.report(fault)
		}
		return due
	}
	require.False(t, reports(9, true), "too few to judge")
	now = now.Add(11 * time.Second)
	require.False(t, reports(8, false))
	require.False(t, reports(3, true), "three of eleven, and those of the former interval are forgotten")
	require.True(t, reports(1, true), "four of twelve")
	require.False(t, reports(1, false), "only a fault ejects")
}

func TestNeverMoreAreEjectedThanMayBe(t *testing.T) {
	s := &service{ejecting: &sync.Mutex{}}
	policy := traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(1), BaseEjection: period(time.Hour)}}.WithDefaults()
	for i := range 8 {
		e := newEndpoint("web", traffic.Endpoint{ID: strconv.Itoa(i)}, newMetrics().of("web", strconv.Itoa(i)))
		e.settings.Store(&endpointSettings{outlier: newOutlier(*policy.OutlierDetection, time.Now)})
		s.endpoints = append(s.endpoints, e)
	}
	var begin sync.WaitGroup
	var all sync.WaitGroup
	begin.Add(1)
	for _, e := range s.endpoints {
		for range 4 {
			all.Go(func() {
				begin.Wait()
				s.judge(candidate{endpoint: e, settings: e.settings.Load()}, true)
			})
		}
	}
	begin.Done()
	all.Wait()
	out := 0
	for _, e := range s.endpoints {
		if e.settings.Load().outlier.ejected() {
			out++
		}
	}
	require.Equal(t, 4, out, "half of them")
}
