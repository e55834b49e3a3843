package proxy

import (
	"context"
	"fmt"
	"time"
)

const (
	// lastCalls is how long connections on which nothing is asked stay open when the
	// proxy ends. One on which something is asked meanwhile is answered and told to
	// close; a client that asks at the very moment when its connection is closed could
	// not know whether it was served.
	lastCalls = 3 * time.Second
	// shutdownInterval lies between two looks at whether all is done.
	shutdownInterval = 10 * time.Millisecond
)

// Shutdown takes no more connections, and returns when nothing is in flight. When the
// context ends before, what is left is closed, and the error says how much that was.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.closing.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listeners {
		_ = l.socket.Close()
	}
	p.awaitLastCalls(ctx)
	stopped := make(chan error, len(p.listeners))
	for _, l := range p.listeners {
		go func() { stopped <- l.stop(ctx) }()
	}
	for range p.listeners {
		<-stopped
	}
	// Connections that switched protocols, or are passed through, no server knows.
	left := p.awaitEnd(ctx)
	for _, e := range p.endpoints {
		e.settings.Load().stop()
		e.dialer.cut()
	}
	for _, e := range p.leaving {
		e.dialer.cut()
	}
	if left > 0 {
		return fmt.Errorf("%d requests were in flight at the end of the drain timeout, and were cut off", left)
	}
	return nil
}

// awaitLastCalls waits until no connection is open, at most for lastCalls, and no
// longer than half of the time that there is.
func (p *Proxy) awaitLastCalls(ctx context.Context) {
	most := lastCalls
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	end := time.Now().Add(most)
	for time.Now().Before(end) && ctx.Err() == nil {
		open := int64(0)
		for _, l := range p.listeners {
			open += l.connections.Load()
		}
		if open == 0 {
			return
		}
		time.Sleep(shutdownInterval)
	}
}

// awaitEnd waits until nothing is in flight, and returns what is left at the end of
// the context.
func (p *Proxy) awaitEnd(ctx context.Context) int64 {
	for {
		left := int64(0)
		for _, e := range p.endpoints {
			left += e.inFlight.Load()
		}
		for _, e := range p.leaving {
			left += e.inFlight.Load()
		}
		if left == 0 || ctx.Err() != nil {
			return left
		}
		time.Sleep(shutdownInterval)
	}
}
