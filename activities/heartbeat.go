package activities

import (
	"context"
	"sync"
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

// heartbeat proves that the activity is alive until the returned function is
// called. The first beat is a call to the server too, so the work does not wait
// for it.
func heartbeat(ctx context.Context, doing string) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		activity.RecordHeartbeat(ctx, doing)
		ticker := time.NewTicker(HeartbeatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, doing)
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// progress shows a provider's words in the web UI as the heartbeat's details.
func progress(ctx context.Context) Progress {
	return func(message string) { activity.RecordHeartbeat(ctx, message) }
}
