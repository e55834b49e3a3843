package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// passThrough connects a client of a listener with an endpoint until both are done.
func (p *Proxy) passThrough(ctx context.Context, listener string, client net.Conn, s *service) {
	defer client.Close()
	began := time.Now()
	upstream, chosen, err := s.connect(ctx)
	if err != nil {
		p.metrics.refusals.WithLabelValues(listener, string(kindOf(err))).Inc()
		p.logConnection(listener, client, "", 0, 0, began, string(kindOf(err)))
		return
	}
	chosen.metrics.connections.Inc()
	opened := time.Now()
	var in, out int64
	defer func() {
		upstream.Close()
		chosen.settings.limit.leave()
		chosen.end()
		chosen.metrics.latency.Observe(time.Since(opened).Seconds())
		p.logConnection(listener, client, chosen.id, in, out, began, "")
	}()
	idle := duration(s.policy.Timeout.IdleTimeout)
	var both sync.WaitGroup
	both.Go(func() { in = pipe(upstream, client, idle, chosen.metrics.in) })
	both.Go(func() { out = pipe(client, upstream, idle, chosen.metrics.out) })
	both.Wait()
}

// connect opens a connection to an endpoint, to another one where the first does not
// take it.
func (s *service) connect(ctx context.Context) (net.Conn, candidate, error) {
	endpoints := s.group("")
	var tried []*endpoint
	for {
		chosen, err := s.pick(endpoints, tried)
		if next := s.latest(); err != nil && next != s {
			s, endpoints, tried = next, next.group(""), nil // see exchange.moveOn
			continue
		}
		if err != nil {
			return nil, chosen, err
		}
		settings := chosen.settings
		if err := settings.limit.enter(ctx); err != nil {
			settings.breaker.forget(chosen.turn)
			return nil, chosen, err
		}
		if !chosen.begin() {
			settings.limit.leave()
			settings.breaker.forget(chosen.turn)
			continue
		}
		connection, err := s.dial(ctx, chosen)
		settings.breaker.report(chosen.turn, err != nil)
		s.judge(chosen, err != nil)
		if err == nil {
			return connection, chosen, nil
		}
		settings.limit.leave()
		chosen.end()
		chosen.metrics.errors[kindOf(err)].Inc()
		if tried = append(tried, chosen.endpoint); len(tried) >= len(endpoints) || ctx.Err() != nil {
			return nil, chosen, err
		}
	}
}

// dial opens a connection to an endpoint, with TLS where the service has it.
func (s *service) dial(ctx context.Context, c candidate) (net.Conn, error) {
	if s.tls == nil {
		return c.dialer.DialContext(ctx, "tcp", c.address)
	}
	return c.dialer.dialTLS(ctx, s.tls, duration(s.policy.Timeout.ConnectTimeout), c.address)
}

// pipe copies until the source ends, tells the other side, and returns how many bytes
// there were.
func pipe(to, from net.Conn, idle time.Duration, count prometheus.Counter) int64 {
	n, err := io.Copy(to, &lively{from, to, idle, count})
	if half, ok := underlying(to).(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return n
	}
	_ = to.Close()
	_ = from.Close()
	return n
}

// underlying is the connection that a tracked one wraps.
func underlying(c net.Conn) net.Conn {
	if t, ok := c.(*trackedConnection); ok {
		return t.Conn
	}
	return c
}

// lively ends a connection on which nothing moves in either direction, and counts what does.
type lively struct {
	from, to net.Conn
	idle     time.Duration
	count    prometheus.Counter
}

func (l *lively) Read(p []byte) (int, error) {
	if l.idle > 0 {
		_ = l.from.SetReadDeadline(time.Now().Add(l.idle))
	}
	n, err := l.from.Read(p)
	l.count.Add(float64(n))
	if n > 0 && l.idle > 0 {
		_ = l.to.SetReadDeadline(time.Now().Add(l.idle))
	}
	return n, err
}
