package proxy

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// Between the choice and the request an endpoint may be taken out. Whoever does so and
// sees nothing in flight ends it.
func TestAnEndpointThatWasTakenOutSinceItWasChosenGetsNothing(t *testing.T) {
	e := crowd(1, one)[0]
	require.True(t, e.begin())
	e.draining.Store(true)
	require.False(t, e.begin())
	require.Equal(t, int64(1), e.inFlight.Load())
	require.Equal(t, int64(1), e.requests.Load())
	idle := make(chan error, 1)
	go func() { idle <- e.awaitIdle(t.Context()) }()
	e.end()
	require.NoError(t, <-idle)
}

// Another process may have its name by then, and whoever takes it in has looked at it.
func TestAnEndpointThatIsTakenInAgainIsAsNew(t *testing.T) {
	for name, test := range map[string]struct {
		policy traffic.Policy
		out    func(EndpointStatus) bool
	}{
		"its check failed": {
			traffic.Policy{HealthCheck: &traffic.HealthCheck{Path: "/health", Interval: period(time.Hour), UnhealthyThreshold: 1}},
			func(e EndpointStatus) bool { return e.State == StateUnhealthy },
		},
		"it was ejected": {
			traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(1), BaseEjection: period(time.Hour), MaxEjection: period(time.Hour)}},
			func(e EndpointStatus) bool { return e.State == StateEjected },
		},
		"its circuit was open": {
			traffic.Policy{CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Hour)}},
			func(e EndpointStatus) bool { return e.Breaker == string(breakerOpen) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Options{})
			var sick atomic.Bool
			sick.Store(true)
			first := backend(t, "first", func(w http.ResponseWriter, _ *http.Request) {
				if sick.Load() {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			other := backend(t, "other", nil)
			s.apply(s.served(test.policy, first, other))
			s.eventually(func() bool {
				s.get("/")
				return test.out(s.endpoint("e0"))
			}, "it is out")
			gone := s.served(test.policy, first, other)
			gone.Services[0].Endpoints[0].Draining = true
			s.apply(gone)
			sick.Store(false)
			s.apply(s.served(test.policy, first, other))
			require.Equal(t, StateReady, s.endpoint("e0").State)
			s.eventually(func() bool { return s.get("/").header.Get("Backend") == "first" }, "it serves")
		})
	}
}

func TestAnEndpointThatIsTakenInAgainBeginsSlowly(t *testing.T) {
	s := newScene(t, Options{})
	policy := traffic.Policy{SlowStart: period(time.Hour)}
	first, other := backend(t, "first", nil), backend(t, "other", nil)
	served := func() float64 {
		n := 0
		for range 40 {
			if s.get("/").header.Get("Backend") == "first" {
				n++
			}
		}
		return float64(n)
	}
	s.apply(s.served(policy, first, other))
	require.InDelta(t, 20, served(), 1)
	gone := s.served(policy, first, other)
	gone.Services[0].Endpoints[0].Draining = true
	s.apply(gone)
	require.Zero(t, served())
	s.apply(s.served(policy, first, other))
	require.InDelta(t, 2, served(), 2)
}
