package proxy

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// install exchanges what the proxy does. Nothing in it can fail.
func (p *Proxy) install(n *preparation) {
	former := p.endpoints
	p.endpoints = map[endpointKey]*endpoint{}
	services, opened := map[string]*service{}, connected(n.configuration)
	for _, declared := range n.configuration.Services {
		services[declared.Name] = p.service(declared, n.secure[declared.Name], opened[declared.Name], former)
	}
	for _, declared := range n.configuration.Services {
		if m := declared.Mirror; m != nil {
			services[declared.Name].mirror.to = &passage{service: services[m.Service]}
		}
	}
	// Before anything is taken out of the former ones, so that whoever finds nothing left
	// there finds where to go on.
	for name, old := range p.services {
		if next := services[name]; next != nil {
			old.successor.Store(next)
		}
	}
	p.services = services
	listeners := map[string]*listener{}
	for i, declared := range n.configuration.Listeners {
		l := p.listeners[declared.Endpoint()]
		if l == nil {
			l = newListener(p, declared, n.listening[i].socket)
		}
		l.configure(declared, n.listening[i].tls, services)
		listeners[declared.Endpoint()] = l
		if n.listening[i].socket != nil {
			go l.accept()
		}
	}
	for address, l := range p.listeners {
		if listeners[address] == nil {
			go l.retire()
		}
	}
	p.listeners = listeners
	// Only now that nobody is sent there any more.
	for _, declared := range n.configuration.Services {
		for _, e := range declared.Endpoints {
			live := p.endpoints[endpointKey{declared.Name, e.ID, e.Address}]
			if e.Draining {
				live.drain(duration(declared.Policy.DrainTimeout))
			} else {
				live.undrain()
			}
		}
	}
	for key, e := range former {
		if p.endpoints[key] == nil {
			p.takeAway(e)
		}
	}
}

// connected are the services that get connections and no requests.
func connected(c traffic.Configuration) map[string]bool {
	services := map[string]bool{}
	for _, l := range c.Listeners {
		if l.Protocol == traffic.TCP {
			services[l.Service] = true
		}
	}
	return services
}

// service makes a service of a declaration. Endpoints that were there keep what is
// known of them. One that gets connections is checked by opening one.
func (p *Proxy) service(declared traffic.Service, secure *upstreamTLS, byConnection bool, former map[endpointKey]*endpoint) *service {
	s := &service{name: declared.Name, policy: declared.Policy, tls: secure, metrics: p.metrics, balancer: newBalancer(declared.Policy.LoadBalancer), ejecting: &sync.Mutex{}}
	if r := declared.Policy.Retry; r != nil {
		s.budget = newBudget(*r.Budget, time.Now)
	}
	if known := p.services[declared.Name]; known != nil {
		s.ejecting = known.ejecting
		if known.policy.LoadBalancer == declared.Policy.LoadBalancer {
			s.balancer = known.balancer
		}
		if s.budget != nil && known.budget != nil && known.budget.share == s.budget.share {
			s.budget = known.budget
		}
	}
	if m := declared.Mirror; m != nil {
		s.mirror = newMirror(*m.Share)
	}
	for _, one := range declared.Subsets {
		s.subsets = append(s.subsets, subset{name: one.Name, weight: one.Weight})
	}
	kept := map[string]bool{}
	for _, e := range declared.Endpoints {
		key := endpointKey{declared.Name, e.ID, e.Address}
		live := former[key]
		if live == nil {
			live = newEndpoint(declared.Name, e, p.metrics.of(declared.Name, e.ID))
		}
		taken := time.Now()
		if p.services[declared.Name] == nil {
			taken = time.Time{} // together with the first ones, nothing has to be spared
		}
		live.adopt(declared, e, secure, byConnection, taken)
		p.endpoints[key] = live
		kept[e.ID] = true
		s.endpoints = append(s.endpoints, live)
		s.place(live, e.Subset)
	}
	s.balancer.forget(func(id string) bool { return kept[id] })
	return s
}

// place puts an endpoint into its subset.
func (s *service) place(e *endpoint, name string) {
	for i := range s.subsets {
		if s.subsets[i].name == name {
			s.subsets[i].endpoints = append(s.subsets[i].endpoints, e)
			return
		}
	}
	s.rest = append(s.rest, e)
}

// adopt puts a policy to work at an endpoint. What the change does not concern goes on,
// but that nothing counts any more which is known of one that was taken out and is taken
// in now: another process may have its name.
func (e *endpoint) adopt(s traffic.Service, declared traffic.Endpoint, secure *upstreamTLS, byConnection bool, taken time.Time) {
	old := e.settings.Load()
	next := &endpointSettings{weight: declared.Weight, subset: declared.Subset, taken: taken, slowStart: duration(s.Policy.SlowStart)}
	again := old != nil && e.draining.Load() && !declared.Draining
	if old != nil && !again {
		next.taken = old.taken
	}
	key := func(parts ...any) string {
		text, _ := json.Marshal(parts) // of plain values, it cannot fail
		return string(text)
	}
	next.connectionKey = key(s.Policy.Timeout, s.HTTP2, s.TLS)
	next.breakerKey, next.outlierKey = key(s.Policy.CircuitBreaker), key(s.Policy.OutlierDetection)
	next.limitKey, next.checkKey = key(s.Policy.Limits), key(s.Policy.HealthCheck, s.TLS, byConnection)
	if old != nil && old.connectionKey == next.connectionKey {
		next.transport = old.transport
	} else {
		next.transport = newTransport(e, s, secure)
	}
	switch {
	case old != nil && old.breakerKey == next.breakerKey && !again:
		next.breaker = old.breaker
	case s.Policy.CircuitBreaker != nil:
		next.breaker = newBreaker(*s.Policy.CircuitBreaker, time.Now)
	}
	switch {
	case old != nil && old.outlierKey == next.outlierKey && !again:
		next.outlier = old.outlier
	case s.Policy.OutlierDetection != nil:
		next.outlier = newOutlier(*s.Policy.OutlierDetection, time.Now)
	}
	if old != nil && old.limitKey == next.limitKey {
		next.limit = old.limit
	} else {
		next.limit = newLimit(s.Policy.Limits.MaxConnections, s.Policy.Limits.MaxPending)
	}
	if old != nil && old.checkKey == next.checkKey && !again {
		next.stop = old.stop
	} else {
		if old != nil {
			old.stop()
		}
		e.unhealthy.Store(false)
		e.trouble.Store(nil)
		ctx, stop := context.WithCancel(context.Background())
		next.stop = stop
		if h := s.Policy.HealthCheck; h != nil {
			go e.check(ctx, *h, secure, byConnection)
		}
	}
	e.settings.Store(next)
	if old != nil && old.transport != next.transport {
		old.transport.CloseIdleConnections()
	}
}

// defaultDrainTimeout is that of a service that is configured no more.
const defaultDrainTimeout = 30 * time.Second

// takeAway drains an endpoint that is configured no more, and forgets it when it has
// nothing in flight.
func (p *Proxy) takeAway(e *endpoint) {
	p.leaving = append(p.leaving, e)
	timeout := defaultDrainTimeout
	if s := p.services[e.service]; s != nil {
		timeout = duration(s.policy.DrainTimeout)
	}
	e.settings.Load().stop()
	e.drain(timeout)
	go func() {
		_ = e.awaitIdle(context.Background()) // it ends: what is in flight is cut off
		e.cutting.Stop()
		e.settings.Load().transport.CloseIdleConnections()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forget(e)
	}()
}

func (p *Proxy) forget(gone *endpoint) {
	for i, e := range p.leaving {
		if e == gone {
			p.leaving = append(p.leaving[:i], p.leaving[i+1:]...)
			break
		}
	}
	for _, e := range p.endpoints {
		if e.service == gone.service && e.id == gone.id {
			return // one of the same name, elsewhere
		}
	}
	p.metrics.forget(gone.service, gone.id)
}
