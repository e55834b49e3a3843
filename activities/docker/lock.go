package docker

import (
	"context"
	"fmt"
	"sync"

	"windlass/activities"
	"windlass/plan"
)

// locks lets one call at a time change a resource. An attempt that was given up
// may still be running when its retry begins, and the engine accepts two networks
// of one name, so two calls side by side could both find nothing and create.
type locks struct {
	mu   sync.Mutex
	held map[plan.Target]*lock
}

type lock struct {
	token chan struct{}
	users int
}

func newLocks() *locks { return &locks{held: map[plan.Target]*lock{}} }

// lock waits until no other call changes the target. The returned function gives it back.
func (l *locks) lock(ctx context.Context, t plan.Target, say activities.Progress) (func(), error) {
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
