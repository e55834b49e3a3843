package activities

import (
	"context"
	"fmt"
	"sync"

	"windlass/plan"
)

// Locks let one call at a time of a provider change a resource. An attempt that was
// given up may still be running when its retry begins, and an engine may accept two
// networks of one name, so two calls side by side could both find nothing and create.
type Locks struct {
	mu   sync.Mutex
	held map[plan.Target]*lock
}

type lock struct {
	token chan struct{}
	users int
}

// NewLocks returns locks that nobody holds.
func NewLocks() *Locks { return &Locks{held: map[plan.Target]*lock{}} }

// Lock waits until no other call changes the target. The returned function gives it back.
func (l *Locks) Lock(ctx context.Context, t plan.Target, say Progress) (func(), error) {
	l.mu.Lock()
	k := l.held[t]
	if k == nil {
		k = &lock{token: make(chan struct{}, 1)}
		l.held[t] = k
	}
	k.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, t)
		}
	}
	select {
	case k.token <- struct{}{}:
	default:
		say("waiting for an earlier call on " + t.Resource)
		select {
		case k.token <- struct{}{}:
		case <-ctx.Done():
			leave()
			return nil, fmt.Errorf("%s: waiting for an earlier call: %w", t.Resource, ctx.Err())
		}
	}
	return func() {
		<-k.token
		leave()
	}, nil
}
