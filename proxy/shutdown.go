package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
// Meanwhile Apply goes on to say where requests may go on connections that are open.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.closing.Store(true)
	p.mu.Lock()
	listeners := slices.Collect(maps.Values(p.listeners))
	p.mu.Unlock()
	for _, l := range listeners {
		_ = l.socket.Close()
	}
	awaitLastCalls(ctx, listeners)
	stopped := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { stopped <- l.stop(ctx) }()
	}
	for range listeners {
		<-stopped
	}
	// Connections that switched protocols, or are passed through, no server knows.
	left := p.awaitEnd(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
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
func awaitLastCalls(ctx context.Context, listeners []*listener) {
	most := lastCalls
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	end := time.Now().Add(most)
	for time.Now().Before(end) && ctx.Err() == nil {
		open := int64(0)
		for _, l := range listeners {
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
		left := p.inFlight()
		if left == 0 || ctx.Err() != nil {
			return left
		}
		time.Sleep(shutdownInterval)
	}
}

func (p *Proxy) inFlight() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := int64(0)
	for _, e := range p.endpoints {
		total += e.inFlight.Load()
	}
	for _, e := range p.leaving {
		total += e.inFlight.Load()
	}
	return total
}
