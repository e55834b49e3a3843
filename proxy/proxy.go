// Package proxy is the data plane: it listens, chooses an endpoint for each request
// or connection, passes it on, and watches what comes of it. All that it does is said
// by one configuration. It knows nothing of Temporal, NATS or containers.
//
// A client's own Forwarded and X-Forwarded-For, -Host and -Proto, also with underscores,
// are replaced by those of the connection that it came over. Of protocols to switch to,
// only WebSocket is passed on.
package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"windlass/schemas/traffic"
)

// Options are what a Proxy needs from its process. The zero value serves.
type Options struct {
	// Logger gets what people would want to know; the default discards.
	Logger *slog.Logger
	// AccessLog gets a line for each request; the default is none.
	AccessLog *slog.Logger
	// Registry gets the metrics; the default is nobody.
	Registry prometheus.Registerer
	// Listen opens a listener on host:port; the default is that of package net.
	Listen func(ctx context.Context, address string) (net.Listener, error)
}

// Proxy passes on what it is configured to. It is safe for concurrent use.
type Proxy struct {
	options Options
	metrics *metrics
	// closing says that no more is taken on.
	closing atomic.Bool

	// mu lets one change at a time happen, and guards what follows.
	mu        sync.Mutex
	current   *traffic.Configuration
	listeners map[string]*listener
	services  map[string]*service
	// endpoints are those that serve, leaving those that were taken away.
	endpoints map[endpointKey]*endpoint
	leaving   []*endpoint
}

// endpointKey is what makes two endpoints the same.
type endpointKey struct{ service, id, address string }

// New returns a proxy that does nothing until a configuration is applied.
func New(o Options) *Proxy {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = func(ctx context.Context, address string) (net.Listener, error) {
			return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		}
	}
	p := &Proxy{options: o, metrics: newMetrics(), listeners: map[string]*listener{}, services: map[string]*service{}, endpoints: map[endpointKey]*endpoint{}}
	if o.Registry != nil {
		p.metrics.register(o.Registry)
		o.Registry.MustRegister(p)
	}
	return p
}

// Configuration is what the proxy does; false before the first one.
func (p *Proxy) Configuration() (traffic.Configuration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return traffic.Configuration{}, false
	}
	return *p.current, true
}

// Apply makes the proxy do what a configuration says, whole or not at all. It wraps
// ErrOlder or ErrConflict where the version stands against it; other errors say what
// is wrong with it, or what could not be opened. The same again changes nothing.
func (p *Proxy) Apply(ctx context.Context, c traffic.Configuration) error {
	if err := c.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		switch {
		case c.Version < p.current.Version:
			return fmt.Errorf("version %d cannot follow version %d: %w", c.Version, p.current.Version, ErrOlder)
		case c.Version == p.current.Version && same(c, *p.current):
			return nil
		case c.Version == p.current.Version:
			return fmt.Errorf("version %d: %w", c.Version, ErrConflict)
		}
	}
	if p.closing.Load() {
		c.Listeners = p.open(c.WithDefaults().Listeners)
	}
	next, err := p.prepare(ctx, c.WithDefaults())
	if err != nil {
		return err
	}
	p.install(next)
	p.current = &c
	p.metrics.version.Set(float64(c.Version))
	p.options.Logger.Info("configuration applied", "version", c.Version)
	return nil
}

// open are those listeners that are open already: a proxy that ends opens no more.
func (p *Proxy) open(listeners []traffic.Listener) []traffic.Listener {
	var open []traffic.Listener
	for _, l := range listeners {
		if known := p.listeners[l.Endpoint()]; known != nil && known.protocol == l.Protocol {
			open = append(open, l)
		}
	}
	return open
}

func same(a, b traffic.Configuration) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && string(one) == string(other)
}

// preparation is all that may fail of a configuration, done.
type preparation struct {
	configuration traffic.Configuration
	// listening are the listeners' sockets and certificates, in their order.
	listening []listening
	// secure are the services' certificates, by name; nil is plain text.
	secure map[string]*upstreamTLS
}

type listening struct {
	socket net.Listener
	tls    *tls.Config
}

func (p *Proxy) prepare(ctx context.Context, c traffic.Configuration) (*preparation, error) {
	n := &preparation{configuration: c, secure: map[string]*upstreamTLS{}}
	for i, s := range c.Services {
		secure, err := newUpstreamTLS(s.TLS)
		if err != nil {
			return nil, fmt.Errorf("services[%d].tls: %w", i, err)
		}
		n.secure[s.Name] = secure
	}
	var opened []net.Listener
	fail := func(err error) (*preparation, error) {
		for _, socket := range opened {
			_ = socket.Close()
		}
		return nil, err
	}
	for i, l := range c.Listeners {
		var ready listening
		var err error
		if l.TLS != nil {
			var protocols []string
			if l.Protocol == traffic.HTTP {
				protocols = []string{"h2", "http/1.1"}
			}
			if ready.tls, err = listenerTLS(l.TLS, protocols); err != nil {
				return fail(fmt.Errorf("listeners[%d].tls: %w", i, err))
			}
		}
		known := p.listeners[l.Endpoint()]
		switch {
		case known != nil && known.protocol == l.Protocol:
		case known != nil:
			return fail(fmt.Errorf("listeners[%d].protocol: is %s, and port %d is open with %s; take the listener away first", i, l.Protocol, l.Port, known.protocol))
		default:
			if ready.socket, err = p.options.Listen(ctx, l.Endpoint()); err != nil {
				return fail(fmt.Errorf("listeners[%d]: %w", i, err))
			}
			opened = append(opened, ready.socket)
		}
		n.listening = append(n.listening, ready)
	}
	return n, nil
}
