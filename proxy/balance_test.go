package proxy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

var policies = []traffic.Balancing{traffic.RoundRobin, traffic.LeastConnections, traffic.Random, traffic.Weighted}

// crowd are endpoints that nothing is behind.
func crowd(n int, weight func(int) int) []*endpoint {
	m := newMetrics()
	all := make([]*endpoint, n)
	for i := range all {
		all[i] = newEndpoint("s", traffic.Endpoint{ID: fmt.Sprintf("e%d", i)}, m.of("s", fmt.Sprintf("e%d", i)))
		all[i].settings.Store(&endpointSettings{weight: weight(i), stop: func() {}})
	}
	return all
}

func one(int) int { return 1 }

// choices counts how often each endpoint is chosen.
func choices(t *testing.T, b *balancer, endpoints []*endpoint, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		among, why := candidates(endpoints, nil, nil, 0)
		require.Empty(t, why)
		c := b.choose(among)
		// Each request is done before the next one, as on a quiet day.
		count[c.id]++
	}
	return count
}

func TestEachPolicyIsFair(t *testing.T) {
	const requests = 12000
	for _, policy := range policies {
		for _, n := range []int{1, 2, 3, 7, 20} {
			t.Run(fmt.Sprintf("%s over %d", policy, n), func(t *testing.T) {
				count := choices(t, newBalancer(policy), crowd(n, one), requests)
				require.Len(t, count, n)
				mean := float64(requests) / float64(n)
				// One after the other is exact; by lot, five standard deviations of a
				// binomial distribution are next to never exceeded.
				bound := 1.0
				if policy == traffic.Random {
					bound = 5 * math.Sqrt(mean)
				}
				for id, times := range count {
					require.InDelta(t, mean, float64(times), bound, id)
				}
			})
		}
	}
}

func TestWeightsAreKeptToAndEvenlyMixed(t *testing.T) {
	b, endpoints := newBalancer(traffic.Weighted), crowd(3, func(i int) int { return []int{5, 1, 1}[i] })
	var order []string
	for range 7 {
		among, _ := candidates(endpoints, nil, nil, 0)
		order = append(order, b.choose(among).id)
	}
	// The order that the smooth algorithm gives for 5, 1, 1.
	require.Equal(t, []string{"e0", "e0", "e1", "e0", "e2", "e0", "e0"}, order)
	require.Equal(t, map[string]int{"e0": 500, "e1": 100, "e2": 100}, choices(t, b, endpoints, 700))
}

// However the set changes, no endpoint's share is more than one request off in the time
// in which it does not.
func TestWeightsAreKeptToBetweenChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	b, pool := newBalancer(traffic.Weighted), crowd(8, func(i int) int { return 1 + i })
	for step := range 500 {
		set, total := []*endpoint{}, 0
		for _, e := range pool {
			if random.IntN(3) > 0 {
				set = append(set, e)
				total += e.settings.Load().weight
			}
		}
		if len(set) == 0 {
			continue
		}
		b.forget(func(id string) bool { return slices.ContainsFunc(set, func(e *endpoint) bool { return e.id == id }) })
		choices(t, b, set, total) // what the former set left is worked off
		for id, times := range choices(t, b, set, 3*total) {
			at := slices.IndexFunc(set, func(e *endpoint) bool { return e.id == id })
			require.InDelta(t, 3*set[at].settings.Load().weight, times, 1, "step %d, %s of %d", step, id, len(set))
		}
	}
}

func TestTheFewestConnectionsWin(t *testing.T) {
	for _, policy := range []traffic.Balancing{traffic.LeastConnections, traffic.Random} {
		t.Run(string(policy), func(t *testing.T) {
			b, endpoints := newBalancer(policy), crowd(5, one)
			for range 1000 {
				among, _ := candidates(endpoints, nil, nil, 0)
				b.choose(among).inFlight.Add(1)
			}
			least, most := int64(math.MaxInt64), int64(0)
			for _, e := range endpoints {
				least, most = min(least, e.inFlight.Load()), max(most, e.inFlight.Load())
			}
			// The gap of the power of two choices grows with log log n (Mitzenmacher 2001).
			require.LessOrEqual(t, most-least, int64(10))
		})
	}
}

// Whatever changes of the set, nothing that is out is chosen, and everything that is
// in is, as long as anything is.
func TestNothingThatIsOutIsChosenWhileTheSetChanges(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			b, pool := newBalancer(policy), crowd(12, func(i int) int { return 1 + i%4 })
			// Twice the sum of the weights; by lot, none of twelve is passed over so often but
			// once in 10^15 times.
			requests := 60
			if policy == traffic.Random {
				requests = 400
			}
			present := map[*endpoint]bool{}
			for step := range 3000 {
				e := pool[random.IntN(len(pool))]
				switch random.IntN(4) {
				case 0:
					present[e] = !present[e]
				case 1:
					e.unhealthy.Store(!e.unhealthy.Load())
				case 2:
					e.draining.Store(!e.draining.Load())
				}
				var set []*endpoint
				well, in := map[*endpoint]bool{}, 0
				for _, e := range pool {
					if !present[e] {
						continue
					}
					set = append(set, e)
					if !e.draining.Load() {
						in++
						well[e] = !e.unhealthy.Load()
					}
				}
				anyWell := false
				for _, is := range well {
					anyWell = anyWell || is
				}
				chosen := map[*endpoint]bool{}
				for range requests {
					among, why := candidates(set, nil, nil, 0)
					if in == 0 {
						require.Equal(t, noUpstream, why)
						break
					}
					c := b.choose(among)
					require.True(t, present[c.endpoint], "step %d: it is not configured", step)
					require.False(t, c.draining.Load(), "step %d: it is draining", step)
					require.True(t, well[c.endpoint] || !anyWell, "step %d: it is unhealthy and others are not", step)
					chosen[c.endpoint] = true
				}
				if in > 0 {
					for e, is := range well {
						require.True(t, chosen[e] || !is && anyWell, "step %d: %s is passed over", step, e.id)
					}
				}
			}
		})
	}
}

func TestANewEndpointBeginsSlowly(t *testing.T) {
	// A tenth of its turns, or of its weight.
	for policy, wanted := range map[traffic.Balancing]float64{traffic.RoundRobin: 10000.0 / 20, traffic.Weighted: 10000.0 / 11} {
		endpoints := crowd(2, one)
		for _, e := range endpoints {
			e.settings.Load().slowStart, e.settings.Load().taken = time.Hour, time.Now()
		}
		endpoints[0].settings.Load().taken = time.Now().Add(-2 * time.Hour)
		count := choices(t, newBalancer(policy), endpoints, 10000)
		require.InDelta(t, wanted, float64(count["e1"]), 150, policy)
		endpoints[1].settings.Load().taken = time.Now().Add(-2 * time.Hour)
		count = choices(t, newBalancer(policy), endpoints, 10000)
		require.InDelta(t, 5000, float64(count["e1"]), 1, policy)
	}
}
