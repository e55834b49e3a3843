package proxy

import (
	"math/rand/v2"
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// balancer chooses among endpoints. Its memory outlives changes of the set.
type balancer struct {
	policy traffic.Balancing

	mu sync.Mutex
	// turn is whose turn it is, with RoundRobin.
	turn uint64
	// credits are the current weights, by id, with Weighted.
	credits map[string]float64
}

func newBalancer(policy traffic.Balancing) *balancer {
	return &balancer{policy: policy, credits: map[string]float64{}}
}

// candidate is an endpoint that may be chosen.
type candidate struct {
	*endpoint
	// settings are those of the moment.
	settings *endpointSettings
	// share is that of endpoint.share.
	share float64
	// turn is that in which its breaker lets the request through, once it is chosen.
	turn uint64
}

// choose picks one of the candidates, of which there is at least one.
func (b *balancer) choose(candidates []candidate) candidate {
	if len(candidates) == 1 {
		return candidates[0]
	}
	switch b.policy {
	case traffic.LeastConnections:
		return b.least(candidates)
	case traffic.Random:
		return b.random(candidates)
	case traffic.Weighted:
		return b.weighted(candidates)
	default:
		return b.roundRobin(candidates)
	}
}

// roundRobin takes one after the other. One that has just begun is passed over as
// often as its share says.
func (b *balancer) roundRobin(candidates []candidate) candidate {
	b.mu.Lock()
	turn := b.turn
	b.turn++
	b.mu.Unlock()
	for i := range uint64(len(candidates)) {
		if c := candidates[(turn+i)%uint64(len(candidates))]; c.share >= 1 || rand.Float64() < c.share {
			return c
		}
	}
	return candidates[turn%uint64(len(candidates))]
}

// least takes the one with the fewest requests in flight for its share; among
// equals one after the other.
func (b *balancer) least(candidates []candidate) candidate {
	b.mu.Lock()
	turn := int(b.turn % uint64(len(candidates)))
	b.turn++
	b.mu.Unlock()
	best := candidates[turn]
	for i := 1; i < len(candidates); i++ {
		if c := candidates[(turn+i)%len(candidates)]; c.lighter(best) {
			best = c
		}
	}
	return best
}

// lighter says whether c has less to do for its share.
func (c candidate) lighter(other candidate) bool {
	return float64(c.inFlight.Load()+1)/c.share < float64(other.inFlight.Load()+1)/other.share
}

// random takes the better of two drawn by lot.
func (b *balancer) random(candidates []candidate) candidate {
	first := rand.IntN(len(candidates))
	second := rand.IntN(len(candidates) - 1)
	if second >= first {
		second++
	}
	if candidates[second].lighter(candidates[first]) {
		return candidates[second]
	}
	return candidates[first]
}

// weighted is the smooth weighted round-robin of nginx: each gains its weight, the
// richest is taken and pays what all gained.
func (b *balancer) weighted(candidates []candidate) candidate {
	b.mu.Lock()
	defer b.mu.Unlock()
	total, richest := 0.0, 0
	for i, c := range candidates {
		weight := float64(c.settings.weight) * c.share
		total += weight
		b.credits[c.id] += weight
		if b.credits[c.id] > b.credits[candidates[richest].id] {
			richest = i
		}
	}
	b.credits[candidates[richest].id] -= total
	return candidates[richest]
}

// forget drops what is remembered of endpoints that are gone.
func (b *balancer) forget(stays func(id string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.credits {
		if !stays(id) {
			delete(b.credits, id)
		}
	}
}

// candidates are the endpoints that may be chosen. When fewer than the share that must be
// are well, or none is, those are too that are not: a check that errs, or a fault that all
// have, is no reason to serve nobody. Without any whose breaker lets a request through it
// says so.
func candidates(endpoints []*endpoint, tried []*endpoint, into []candidate, panicThreshold float64) ([]candidate, kind) {
	now := time.Now()
	var unwell []candidate
	broken := false
	all, fit := 0, 0
	for _, e := range endpoints {
		s := e.settings.Load()
		if e.draining.Load() {
			continue
		}
		well, closed := e.available(s)
		all++
		if well && closed {
			fit++
		}
		switch {
		case contains(tried, e):
		case !closed:
			broken = true
		case well:
			into = append(into, candidate{endpoint: e, settings: s, share: e.share(s, now)})
		default:
			unwell = append(unwell, candidate{endpoint: e, settings: s, share: 1})
		}
	}
	if len(into) == 0 || float64(fit) < panicThreshold*float64(all) {
		into = append(into, unwell...)
	}
	switch {
	case len(into) > 0:
		return into, ""
	case broken:
		return nil, circuitOpen
	default:
		return nil, noUpstream
	}
}

func contains(list []*endpoint, e *endpoint) bool {
	for _, other := range list {
		if other == e {
			return true
		}
	}
	return false
}
