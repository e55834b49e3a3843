package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

// audience hears every status event, from the first on.
type audience struct {
	mutex sync.Mutex
	heard []schemas.Event
	// more is closed when there is another event.
	more chan struct{}
}

func listen(t *testing.T, js jetstream.JetStream) *audience {
	t.Helper()
	a := &audience{more: make(chan struct{})}
	follower, err := events.Follow(t.Context(), js, events.FollowOptions{All: true})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		follower.Close()
	})
	go func() {
		for {
			status, err := follower.Next(ctx)
			if err != nil {
				return // the test is over, or the servers are gone for good
			}
			a.mutex.Lock()
			a.heard = append(a.heard, status.Event)
			close(a.more)
			a.more = make(chan struct{})
			a.mutex.Unlock()
		}
	}()
	return a
}

// await returns the first event for which the condition holds.
func (a *audience) await(ctx context.Context, condition func(schemas.Event) bool) (schemas.Event, error) {
	for {
		a.mutex.Lock()
		at := slices.IndexFunc(a.heard, condition)
		more, heard := a.more, a.heard
		a.mutex.Unlock()
		if at >= 0 {
			return heard[at], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return schemas.Event{}, ctx.Err()
		}
	}
}

// awaitEnd waits for the last event of a deployment.
func (a *audience) awaitEnd(ctx context.Context, scope schemas.Scope, revision int) error {
	_, err := a.await(ctx, func(e schemas.Event) bool { return concerns(e, scope) && isEnd(revision)(e) })
	return err
}

func concerns(e schemas.Event, scope schemas.Scope) bool {
	of, ok := e.Scope()
	return ok && of == scope
}

// pause lets a moment pass before something is asked again. It says whether there
// is a reason to ask.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(200 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}
