package proxy

import (
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// breakerState is what a circuit breaker does.
type breakerState string

const (
	breakerClosed   breakerState = "closed"
	breakerOpen     breakerState = "open"
	breakerHalfOpen breakerState = "half-open"
)

// breakerWindow is how many requests the failure threshold is taken over.
const breakerWindow = 100

// breaker is a circuit breaker. Libraries look at faults in a row or at their
// share; a policy may ask for both at once.
type breaker struct {
	policy traffic.CircuitBreaker
	now    func() time.Time

	mu    sync.Mutex
	state breakerState
	// turn rises with each change of state: what was let through before it says nothing
	// of the state after it.
	turn uint64
	// until is when an open breaker lets a probe through.
	until time.Time
	inRow int
	// faults are those of the last requests, of which there are count, next is
	// where the next one is noted.
	faults      [breakerWindow]bool
	count, next int
	sum         int
}

func newBreaker(policy traffic.CircuitBreaker, now func() time.Time) *breaker {
	return &breaker{policy: policy, now: now, state: breakerClosed}
}

// ready says whether allow would let a request through.
func (b *breaker) ready() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == breakerClosed || b.state == breakerOpen && !b.now().Before(b.until)
}

// allow lets a request through, whose outcome has to be reported with the turn, or
// forgotten.
func (b *breaker) allow() (turn uint64, allowed bool) {
	if b == nil {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == breakerClosed:
		return b.turn, true
	case b.state == breakerOpen && !b.now().Before(b.until):
		b.become(breakerHalfOpen)
		return b.turn, true
	default:
		return 0, false
	}
}

// report notes how a request ended that was let through.
func (b *breaker) report(turn uint64, fault bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case turn != b.turn:
	case b.state == breakerHalfOpen && fault:
		b.open()
	case b.state == breakerHalfOpen:
		b.become(breakerClosed)
		b.inRow, b.count, b.next, b.sum = 0, 0, 0, 0
		b.faults = [breakerWindow]bool{}
	case b.state == breakerClosed:
		b.note(fault)
		if b.inRow >= b.policy.MaxFailures || b.exceeded() {
			b.open()
		}
	}
}

// forget takes back that a request was let through, which was never sent or broken
// off by its caller.
func (b *breaker) forget(turn uint64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if turn == b.turn && b.state == breakerHalfOpen {
		b.become(breakerOpen) // the next one probes
	}
}

func (b *breaker) open() {
	b.become(breakerOpen)
	b.until = b.now().Add(duration(b.policy.RecoveryTimeout))
}

func (b *breaker) become(state breakerState) {
	b.state = state
	b.turn++
}

func (b *breaker) note(fault bool) {
	if b.inRow++; !fault {
		b.inRow = 0
	}
	if b.count == breakerWindow && b.faults[b.next] {
		b.sum--
	}
	b.faults[b.next] = fault
	if fault {
		b.sum++
	}
	b.next = (b.next + 1) % breakerWindow
	b.count = min(b.count+1, breakerWindow)
}

func (b *breaker) exceeded() bool {
	return b.policy.FailureThreshold > 0 && b.count >= b.policy.MaxFailures && float64(b.sum) >= b.policy.FailureThreshold*float64(b.count)
}

func (b *breaker) current() breakerState {
	if b == nil {
		return breakerClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}
