package traffic

import (
	"slices"
	"time"

	"windlass/schemas/quantity"
)

// The defaults of what a field names its default of.
const (
	defaultCheckInterval     = 2 * time.Second
	defaultCheckTimeout      = 2 * time.Second
	defaultOutlierInterval   = 10 * time.Second
	defaultBaseEjection      = 10 * time.Second
	defaultMaxEjection       = 5 * time.Minute
	defaultRecoveryTimeout   = 30 * time.Second
	defaultBackoff           = 25 * time.Millisecond
	defaultHeaderTimeout     = 60 * time.Second
	defaultConnectTimeout    = 2 * time.Second
	defaultIdleTimeout       = 60 * time.Second
	defaultBodyIdleTimeout   = 60 * time.Second
	defaultDrainTimeout      = 30 * time.Second
	defaultReadHeaderTimeout = 10 * time.Second
	defaultMaxHeaderBytes    = 64 << 10
	defaultMaxPending        = 1024
)

func orDuration(given *quantity.Duration, otherwise time.Duration) *quantity.Duration {
	if given != nil {
		return given
	}
	d := quantity.Duration(otherwise)
	return &d
}

func or[T any](given *T, otherwise T) *T {
	if given != nil {
		return given
	}
	return &otherwise
}

func orNumber(given, otherwise int) int {
	if given != 0 {
		return given
	}
	return otherwise
}

// WithDefaults returns a copy in which every field that has a default has a value.
func (p Policy) WithDefaults() Policy {
	if p.LoadBalancer == "" {
		p.LoadBalancer = RoundRobin
	}
	if h := p.HealthCheck; h != nil {
		c := *h
		if c.Path == "" {
			c.Path = "/"
		}
		c.Interval, c.Timeout = orDuration(c.Interval, defaultCheckInterval), orDuration(c.Timeout, defaultCheckTimeout)
		c.HealthyThreshold, c.UnhealthyThreshold = orNumber(c.HealthyThreshold, 1), orNumber(c.UnhealthyThreshold, 3)
		p.HealthCheck = &c
	}
	if o := p.OutlierDetection; o != nil {
		c := *o
		c.ConsecutiveFaults, c.MinRequests, c.MaxEjectedShare = or(c.ConsecutiveFaults, 5), orNumber(c.MinRequests, 20), or(c.MaxEjectedShare, 0.5)
		c.Interval, c.BaseEjection, c.MaxEjection = orDuration(c.Interval, defaultOutlierInterval), orDuration(c.BaseEjection, defaultBaseEjection), orDuration(c.MaxEjection, defaultMaxEjection)
		p.OutlierDetection = &c
	}
	if b := p.CircuitBreaker; b != nil {
		c := *b
		c.MaxFailures, c.RecoveryTimeout = orNumber(c.MaxFailures, 5), orDuration(c.RecoveryTimeout, defaultRecoveryTimeout)
		p.CircuitBreaker = &c
	}
	if r := p.Retry; r != nil {
		c := *r
		c.MaxRetries, c.Budget, c.Backoff = or(c.MaxRetries, 2), or(c.Budget, 0.2), orDuration(c.Backoff, defaultBackoff)
		if c.RetryOn == nil {
			c.RetryOn = []RetryOn{RetryConnectFailure, RetryReset}
		}
		p.Retry = &c
	}
	t := p.Timeout
	t.RequestTimeout, t.HeaderTimeout = orDuration(t.RequestTimeout, 0), orDuration(t.HeaderTimeout, defaultHeaderTimeout)
	t.ConnectTimeout, t.IdleTimeout = orDuration(t.ConnectTimeout, defaultConnectTimeout), orDuration(t.IdleTimeout, defaultIdleTimeout)
	t.BodyIdleTimeout = orDuration(t.BodyIdleTimeout, defaultBodyIdleTimeout)
	p.Timeout = t
	p.Limits.MaxPending = orNumber(p.Limits.MaxPending, defaultMaxPending)
	p.DrainTimeout, p.SlowStart = orDuration(p.DrainTimeout, defaultDrainTimeout), orDuration(p.SlowStart, 0)
	return p
}

// WithDefaults returns a copy in which every field that has a default has a value.
func (c Configuration) WithDefaults() Configuration {
	c.Listeners, c.Services = slices.Clone(c.Listeners), slices.Clone(c.Services)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Protocol == "" {
			l.Protocol = HTTP
		}
		l.MaxHeaderBytes = orNumber(l.MaxHeaderBytes, defaultMaxHeaderBytes)
		l.ReadHeaderTimeout = orDuration(l.ReadHeaderTimeout, defaultReadHeaderTimeout)
	}
	for i := range c.Services {
		s := &c.Services[i]
		s.Policy = s.Policy.WithDefaults()
		s.Endpoints = slices.Clone(s.Endpoints)
		for n := range s.Endpoints {
			s.Endpoints[n].Weight = orNumber(s.Endpoints[n].Weight, 1)
		}
		if m := s.Mirror; m != nil {
			s.Mirror = &Mirror{Service: m.Service, Share: or(m.Share, 1)}
		}
	}
	return c
}
