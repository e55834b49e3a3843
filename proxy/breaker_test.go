package proxy

import (
	"math/rand/v2"
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
}

func (m *model) allow(now time.Time) bool {
	switch {
	case m.state == breakerClosed:
		return true
	case m.state == breakerOpen && now.Sub(m.opened) >= duration(m.policy.RecoveryTimeout):
		m.state = breakerHalfOpen
		return true
	}
	return false
}

func (m *model) report(now time.Time, fault bool) {
	if m.state == breakerHalfOpen {
		m.state, m.opened = breakerOpen, now
		if !fault {
			m.state, m.history = breakerClosed, nil
		}
		return
	}
	if m.state != breakerClosed {
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

func TestABreakerDoesWhatItsModelDoes(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 9))
		now := time.Unix(1_000_000, 0)
		policy := traffic.CircuitBreaker{MaxFailures: 1 + random.IntN(8), FailureThreshold: []float64{0, 0.3, 0.5, 1}[random.IntN(4)], RecoveryTimeout: period(time.Second)}
		b := newBreaker(policy, func() time.Time { return now })
		m := &model{policy: policy, state: breakerClosed}
		waiting := 0 // requests that were let through and have not ended
		for step := range 1500 {
			switch random.IntN(4) {
			case 0:
				now = now.Add(time.Duration(random.IntN(400)) * time.Millisecond)
			case 1, 2:
				ready := b.ready()
				allowed := b.allow()
				require.Equal(t, ready, allowed, "seed %d, step %d", seed, step)
				require.Equal(t, m.allow(now), allowed, "seed %d, step %d", seed, step)
				if allowed {
					waiting++
				}
			default:
				if waiting == 0 {
					continue
				}
				waiting--
				fault := random.IntN(3) == 0
				b.report(fault)
				m.report(now, fault)
			}
			require.Equal(t, m.state, b.current(), "seed %d, step %d", seed, step)
		}
	}
}

func TestAProbeThatWasNeverSentIsNoProbe(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBreaker(traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Second)}, func() time.Time { return now })
	require.True(t, b.allow())
	b.report(true)
	now = now.Add(time.Second)
	require.True(t, b.allow())
	require.False(t, b.allow(), "one probe at a time")
	b.forget()
	require.True(t, b.allow(), "the next one probes")
	b.report(false)
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
	always, never := func() bool { return true }, func() bool { return false }
	for _, length := range []time.Duration{10 * time.Second, 20 * time.Second, 25 * time.Second, 25 * time.Second} {
		require.False(t, o.report(true, always))
		require.False(t, o.report(true, never), "no more may be out")
		require.True(t, o.report(true, always))
		now = now.Add(length - time.Millisecond)
		require.True(t, o.ejected())
		now = now.Add(time.Millisecond)
		require.False(t, o.ejected())
	}
}
