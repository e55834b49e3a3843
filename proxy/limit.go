package proxy

import (
	"context"
	"errors"
	"sync/atomic"
)

// limit bounds the requests to one endpoint at a time, and those that wait.
type limit struct {
	slots   chan struct{}
	pending atomic.Int64
	most    int64
}

// newLimit returns nil, which bounds nothing, for 0 connections.
func newLimit(connections, pending int) *limit {
	if connections == 0 {
		return nil
	}
	return &limit{slots: make(chan struct{}, connections), most: int64(pending)}
}

var errTooManyPending = errors.New("too many requests wait")

// enter waits for a slot.
func (l *limit) enter(ctx context.Context) error {
	if l == nil {
		return nil
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	if l.pending.Add(1) > l.most {
		l.pending.Add(-1)
		return &problem{limited, errTooManyPending}
	}
	defer l.pending.Add(-1)
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limit) leave() {
	if l != nil {
		<-l.slots
	}
}
