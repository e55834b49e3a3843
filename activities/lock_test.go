package activities

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/plan"
)

func TestOneCallAtATimeChangesAResource(t *testing.T) {
	t.Parallel()
	all := NewLocks()
	one, other := plan.Target{Resource: "one"}, plan.Target{Resource: "other"}
	waiting := make(chan struct{})
	silent := func(string) {}
	unlock, err := all.Lock(t.Context(), one, silent)
	require.NoError(t, err)
	unlockOther, err := all.Lock(t.Context(), other, silent)
	require.NoError(t, err, "another resource is free")
	unlockOther()

	ctx, cancel := context.WithCancel(t.Context())
	_, err = all.Lock(ctx, one, func(string) { cancel() })
	require.ErrorIs(t, err, context.Canceled)

	locked := make(chan func())
	go func() {
		unlock, err := all.Lock(context.Background(), one, func(message string) {
			if strings.Contains(message, "earlier call on one") {
				close(waiting)
			}
		})
		if err == nil {
			locked <- unlock
		}
	}()
	<-waiting
	unlock()
	(<-locked)()
	require.Empty(t, all.held, "nothing is remembered of locks that are free")
}

func TestProgressIsRepeatedWhileNothingHappens(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	say, stop := Narrate(func(message string) {
		if message == "pulling" {
			count.Add(1)
		}
	})
	say("pulling")
	require.Eventually(t, func() bool { return count.Load() > 2 }, time.Minute, 10*time.Millisecond)
	stop()
}
