package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Status is how a proxy is.
type Status struct {
	// Version is that of the configuration that runs, 0 before the first.
	Version   uint64           `json:"version"`
	Listeners []ListenerStatus `json:"listeners"`
	Services  []ServiceStatus  `json:"services"`
}

// ListenerStatus is one port with its connections.
type ListenerStatus struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	Connections int64  `json:"connections"`
}

// ServiceStatus is one service with its endpoints.
type ServiceStatus struct {
	Name      string           `json:"name"`
	Endpoints []EndpointStatus `json:"endpoints"`
}

// The states of endpoints.
const (
	StateReady     = "ready"
	StateUnhealthy = "unhealthy"
	StateEjected   = "ejected"
	StateDraining  = "draining"
)

// EndpointStatus is one endpoint. One that was taken away and still has requests in
// flight is among them, draining.
type EndpointStatus struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Subset  string `json:"subset,omitempty"`
	Weight  int    `json:"weight"`
	State   string `json:"state"`
	// Trouble is what the last active check failed with.
	Trouble string `json:"trouble,omitempty"`
	// Breaker is closed, open or half-open.
	Breaker  string `json:"breaker"`
	InFlight int64  `json:"inFlight"`
	Requests int64  `json:"requests"`
	Faults   int64  `json:"faults"`
}

// Status is how the proxy is at this moment.
func (p *Proxy) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Listeners: []ListenerStatus{}, Services: []ServiceStatus{}}
	if p.current == nil {
		return s
	}
	s.Version = p.current.Version
	for _, declared := range p.current.Listeners {
		l := p.listeners[declared.Endpoint()]
		s.Listeners = append(s.Listeners, ListenerStatus{declared.Name, l.socket.Addr().String(), l.connections.Load()})
	}
	for _, declared := range p.current.Services {
		one := ServiceStatus{Name: declared.Name, Endpoints: []EndpointStatus{}}
		for _, e := range p.services[declared.Name].endpoints {
			one.Endpoints = append(one.Endpoints, e.status())
		}
		for _, e := range p.leaving {
			if e.service == declared.Name {
				one.Endpoints = append(one.Endpoints, e.status())
			}
		}
		s.Services = append(s.Services, one)
	}
	return s
}

func (e *endpoint) status() EndpointStatus {
	settings := e.settings.Load()
	s := EndpointStatus{
		ID: e.id, Address: e.address, Subset: settings.subset, Weight: settings.weight, State: StateReady, Breaker: string(settings.breaker.current()),
		InFlight: e.inFlight.Load(), Requests: e.requests.Load(), Faults: e.faults.Load(),
	}
	switch {
	case e.draining.Load():
		s.State = StateDraining
	case e.unhealthy.Load():
		s.State = StateUnhealthy
	case settings.outlier.ejected():
		s.State = StateEjected
	}
	if trouble := e.trouble.Load(); trouble != nil {
		s.Trouble = *trouble
	}
	return s
}

// AwaitDrained returns when an endpoint that is draining, or configured no more, has
// nothing in flight. One that serves is an error; so is the end of the context.
func (p *Proxy) AwaitDrained(ctx context.Context, service, id string) error {
	p.mu.Lock()
	var leaving []*endpoint
	for key, e := range p.endpoints {
		if key.service != service || key.id != id {
			continue
		}
		if !e.draining.Load() {
			p.mu.Unlock()
			return fmt.Errorf("endpoint %q of service %q serves; take it out first", id, service)
		}
		leaving = append(leaving, e)
	}
	leaving = append(leaving, slices.DeleteFunc(slices.Clone(p.leaving), func(e *endpoint) bool { return e.service != service || e.id != id })...)
	p.mu.Unlock()
	slices.SortFunc(leaving, func(a, b *endpoint) int { return strings.Compare(a.address, b.address) })
	for _, e := range leaving {
		if err := e.awaitIdle(ctx); err != nil {
			return err
		}
	}
	return nil
}
