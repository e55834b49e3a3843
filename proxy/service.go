package proxy

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"windlass/schemas/traffic"
)

// service is one set of endpoints under one policy. It does not change: another
// configuration makes another one, of the same endpoints.
type service struct {
	name      string
	policy    traffic.Policy
	endpoints []*endpoint
	subsets   []subset
	// rest are the endpoints of no subset.
	rest     []*endpoint
	balancer *balancer
	// ejecting is held by who ejects an endpoint; it is that of all successors too.
	ejecting *sync.Mutex
	budget   *budget
	mirror   *mirror
	// tls is how endpoints are spoken with; nil is plain text.
	tls     *upstreamTLS
	metrics *metrics
	// successor is what another configuration has made of it; nil as long as it serves.
	successor atomic.Pointer[service]
}

// latest is what the newest configuration has made of it.
func (s *service) latest() *service {
	for next := s.successor.Load(); next != nil; next = s.successor.Load() {
		s = next
	}
	return s
}

// subset is a part of the endpoints with its share of the requests.
type subset struct {
	name      string
	weight    int
	endpoints []*endpoint
}

// group is the endpoints that a request goes to, by the name of a subset or by lot.
func (s *service) group(name string) []*endpoint {
	if len(s.subsets) == 0 {
		return s.endpoints
	}
	if name != "" {
		at := slices.IndexFunc(s.subsets, func(one subset) bool { return one.name == name })
		if at >= 0 && usable(s.subsets[at].endpoints) {
			return s.subsets[at].endpoints
		}
	}
	total := 0
	for _, one := range s.subsets {
		if usable(one.endpoints) {
			total += one.weight
		}
	}
	if total == 0 {
		return s.fallback()
	}
	lot := rand.IntN(total)
	for _, one := range s.subsets {
		if !usable(one.endpoints) {
			continue
		}
		if lot -= one.weight; lot < 0 {
			return one.endpoints
		}
	}
	return s.fallback()
}

// fallback is where requests go that no subset takes: to what is in none, else to all.
func (s *service) fallback() []*endpoint {
	if usable(s.rest) {
		return s.rest
	}
	return s.endpoints
}

// usable says whether one of the endpoints can take a request.
func usable(endpoints []*endpoint) bool {
	return slices.ContainsFunc(endpoints, func(e *endpoint) bool {
		if e.draining.Load() {
			return false
		}
		well, closed := e.available(e.settings.Load())
		return well && closed
	})
}

// pick chooses the endpoint of one try.
func (s *service) pick(endpoints, tried []*endpoint) (candidate, error) {
	var space [16]candidate
	for {
		among, why := candidates(endpoints, tried, space[:0], s.policy.PanicThreshold)
		if why != "" && len(tried) > 0 {
			// There is no other one: the same may do better the second time.
			among, why = candidates(endpoints, nil, space[:0], s.policy.PanicThreshold)
		}
		if why != "" {
			return candidate{}, &problem{kind: why}
		}
		chosen := s.balancer.choose(among)
		var allowed bool
		if chosen.turn, allowed = chosen.settings.breaker.allow(); allowed {
			return chosen, nil
		}
		// Somebody else was let through as the probe meanwhile.
	}
}

// judge notes how a try at an endpoint ended, and ejects the endpoint where its policy
// wants it and one more may be out.
func (s *service) judge(c candidate, fault bool) {
	if fault {
		c.faults.Add(1)
	}
	if !c.settings.outlier.report(fault) {
		return
	}
	// One after the other, so that no two take the last place.
	s.ejecting.Lock()
	defer s.ejecting.Unlock()
	if s.ejectable() && c.settings.outlier.eject() {
		c.metrics.ejections.Inc()
	}
}

// ejectable says whether one more endpoint may be ejected.
func (s *service) ejectable() bool {
	out, all := 0, 0
	share := 0.0
	for _, e := range s.endpoints {
		if e.draining.Load() {
			continue
		}
		all++
		settings := e.settings.Load()
		if settings.outlier.ejected() {
			out++
		}
		if settings.outlier != nil {
			share = *settings.outlier.policy.MaxEjectedShare
		}
	}
	if all < 2 {
		return false
	}
	return out < max(1, int(share*float64(all)))
}
