package proxy

import (
	"sync"
	"time"
)

const (
	// budgetSeconds is what a retry budget is taken over.
	budgetSeconds = 10
	// freeRetries are always allowed in that time, for services with few requests.
	freeRetries = 3
)

// budget bounds the retries of a service to a share of its requests, so that a bad
// day does not become a storm.
type budget struct {
	share float64
	now   func() time.Time

	mu       sync.Mutex
	second   int64
	requests [budgetSeconds]int
	retries  [budgetSeconds]int
}

func newBudget(share float64, now func() time.Time) *budget {
	return &budget{share: share, now: now}
}

// forward moves to the present second, and returns its place.
func (b *budget) forward() int {
	second := b.now().Unix()
	for s := max(b.second+1, second-budgetSeconds+1); s <= second; s++ {
		b.requests[s%budgetSeconds], b.retries[s%budgetSeconds] = 0, 0
	}
	b.second = max(b.second, second)
	return int(b.second % budgetSeconds)
}

// request notes a request.
func (b *budget) request() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests[b.forward()]++
}

// retry says whether one more retry is allowed, and notes it.
func (b *budget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.forward()
	requests, retries := 0, 0
	for i := range budgetSeconds {
		requests, retries = requests+b.requests[i], retries+b.retries[i]
	}
	if float64(retries) >= freeRetries+b.share*float64(requests) {
		return false
	}
	b.retries[at]++
	return true
}
