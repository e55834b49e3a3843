package activities

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// HeartbeatInterval is how often a long activity proves that it is alive and
// learns whether it is cancelled. A heartbeat that is not answered for as long
// breaks the activity off, so that it is well above a hiccup of the server.
// HeartbeatTimeout is how long an activity may be silent before it counts as dead;
// it is several times the interval, since a busy machine delays both ends.
const (
	HeartbeatInterval = 4 * time.Second
	HeartbeatTimeout  = 10 * time.Second
)

// pulse proves that an activity is alive, and shows in the web UI what it is doing.
type pulse struct {
	ctx   context.Context
	doing atomic.Pointer[string]
	done  chan struct{}
	ended sync.WaitGroup
}

// startPulse beats until stop is called. The first beat waits for an interval:
// each is a call to the server, and most activities are done before.
func startPulse(ctx context.Context, doing string) *pulse {
	p := &pulse{ctx: ctx, done: make(chan struct{})}
	p.doing.Store(&doing)
	p.ended.Go(p.beat)
	return p
}

func (p *pulse) beat() {
	ticker := time.NewTicker(HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-p.ctx.Done():
			return
		case <-ticker.C:
			activity.RecordHeartbeat(p.ctx, *p.doing.Load())
		}
	}
}

func (p *pulse) stop() {
	close(p.done)
	p.ended.Wait()
}

// progress shows a provider's words from the next beat on.
func (p *pulse) progress(message string) { p.doing.Store(&message) }
