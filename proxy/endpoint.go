package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

// endpoint is one place that serves, with what is known of it. It lives as long as
// its id and address are configured, or requests to it are in flight.
type endpoint struct {
	service string
	id      string
	address string

	inFlight atomic.Int64
	requests atomic.Int64
	faults   atomic.Int64
	// unhealthy says that the active check fails; trouble is why.
	unhealthy atomic.Bool
	trouble   atomic.Pointer[string]
	draining  atomic.Bool
	metrics   *endpointMetrics

	// settings is what the policy makes of it; exchanged when the policy changes.
	settings atomic.Pointer[endpointSettings]
	dialer   *cuttable
	// cutting cuts what is in flight at the end of the drain timeout.
	cutting *time.Timer
	// idle is signalled when nothing is in flight any more.
	mu   sync.Mutex
	idle chan struct{}
}

// endpointSettings are one policy at work.
type endpointSettings struct {
	transport *http.Transport
	breaker   *breaker
	outlier   *outlier
	limit     *limit
	weight    int
	subset    string
	// taken is when the endpoint was taken in, from where its slow start counts.
	taken     time.Time
	slowStart time.Duration
	// stop ends the active check.
	stop context.CancelFunc
	// The keys tell whether a part is what another policy wants too.
	connectionKey, breakerKey, outlierKey, limitKey, checkKey string
}

func newEndpoint(service string, e traffic.Endpoint, m *endpointMetrics) *endpoint {
	return &endpoint{service: service, id: e.ID, address: e.Address, metrics: m, dialer: &cuttable{open: map[net.Conn]struct{}{}}, idle: make(chan struct{})}
}

func duration(d *quantity.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

// newTransport makes what speaks HTTP with an endpoint.
func newTransport(e *endpoint, s traffic.Service, secure *upstreamTLS) *http.Transport {
	policy := s.Policy
	e.dialer.Dialer = net.Dialer{Timeout: duration(policy.Timeout.ConnectTimeout), KeepAlive: 15 * time.Second}
	protocols, spoken := &http.Protocols{}, "http/1.1"
	switch {
	case s.HTTP2 && secure == nil:
		protocols.SetUnencryptedHTTP2(true)
	case s.HTTP2:
		protocols.SetHTTP2(true)
		spoken = "h2"
	default:
		protocols.SetHTTP1(true)
	}
	return &http.Transport{
		DialContext: e.dialer.DialContext,
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return e.dialer.dialTLS(ctx, secure, duration(policy.Timeout.ConnectTimeout), address, spoken)
		},
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       duration(policy.Timeout.IdleTimeout),
		ResponseHeaderTimeout: duration(policy.Timeout.HeaderTimeout),
		DisableCompression:    true,
		Protocols:             protocols,
		ReadBufferSize:        8 << 10,
		WriteBufferSize:       8 << 10,
	}
}

// idleConnections are kept to each endpoint.
const idleConnections = 256

// begin notes that a request is passed on; false says that the endpoint was taken
// out meanwhile and gets none. Whoever takes it out looks at inFlight afterwards.
func (e *endpoint) begin() bool {
	e.inFlight.Add(1)
	e.metrics.inFlight.Inc()
	if e.draining.Load() {
		e.end()
		return false
	}
	e.requests.Add(1)
	return true
}

// end notes that it is done.
func (e *endpoint) end() {
	e.metrics.inFlight.Dec()
	if e.inFlight.Add(-1) > 0 || !e.draining.Load() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.idle)
	e.idle = make(chan struct{})
	if s := e.settings.Load(); s != nil && s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// drain takes the endpoint out. What is in flight is cut off after the timeout.
func (e *endpoint) drain(timeout time.Duration) {
	if e.draining.Swap(true) {
		return
	}
	if s := e.settings.Load(); s != nil {
		s.transport.CloseIdleConnections()
	}
	e.cutting = time.AfterFunc(timeout, e.dialer.cut)
}

// undrain takes it in again.
func (e *endpoint) undrain() {
	if e.draining.Swap(false) && e.cutting != nil {
		e.cutting.Stop()
	}
}

// awaitIdle returns when nothing is in flight.
func (e *endpoint) awaitIdle(ctx context.Context) error {
	for {
		e.mu.Lock()
		idle := e.idle
		e.mu.Unlock()
		if e.inFlight.Load() == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// available says whether a request may go there: whether people and checks let it,
// and whether its breaker does.
func (e *endpoint) available(s *endpointSettings) (well, closed bool) {
	return !e.unhealthy.Load() && !s.outlier.ejected(), s.breaker.ready()
}

// share is the part of its share that a new endpoint gets, from a tenth to the whole.
func (e *endpoint) share(s *endpointSettings, now time.Time) float64 {
	if s.slowStart <= 0 {
		return 1
	}
	const least = 0.1
	return min(1, least+(1-least)*float64(now.Sub(s.taken))/float64(s.slowStart))
}

// cuttable opens connections that can be closed all at once.
type cuttable struct {
	net.Dialer
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func (c *cuttable) DialContext(ctx context.Context, kind, address string) (net.Conn, error) {
	connection, err := c.Dialer.DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConnection{Conn: connection, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[tracked] = struct{}{}
	return tracked, nil
}

// dialTLS opens a connection with TLS; the bound, where it is not 0, is that of the
// handshake.
func (c *cuttable) dialTLS(ctx context.Context, secure *upstreamTLS, bound time.Duration, address string, protocols ...string) (net.Conn, error) {
	plain, err := c.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	return secure.secure(ctx, plain, address, protocols...)
}

func (c *cuttable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for connection := range c.open {
		_ = connection.(*trackedConnection).Conn.Close()
	}
}

type trackedConnection struct {
	net.Conn
	of *cuttable
}

func (t *trackedConnection) Close() error {
	t.of.mu.Lock()
	delete(t.of.open, t)
	t.of.mu.Unlock()
	return t.Conn.Close()
}
