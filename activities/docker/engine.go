package docker

import (
	"context"
	"fmt"
	"time"
)

// The bounds of single calls to the engine. They exist so that an engine that
// hangs is noticed; a call that is merely slow under load ends well before.
const (
	readTimeout  = 30 * time.Second
	writeTimeout = 2 * time.Minute
)

// read makes a call that changes nothing and ends with ctx.
func read[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return call(bounded)
}

// settle makes a call that changes something and waits for its answer even when
// ctx ends meanwhile. The engine goes on with a request whose client has left, so
// that a container could otherwise appear after the caller has cleaned up.
func settle[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return call(bounded)
}

// pause waits for d or until ctx ends, in which case it returns the context's error.
func pause(ctx context.Context, d time.Duration, waitingFor string) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", waitingFor, ctx.Err())
	}
}
