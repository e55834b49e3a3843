package proxy

import (
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// outlier watches what the requests to one endpoint end in.
type outlier struct {
	policy traffic.OutlierDetection
	now    func() time.Time

	mu sync.Mutex
	// until is when the endpoint is back; ejections is how often it was out, as of then.
	until     time.Time
	ejections int
	inRow     int
	// begun is when the window began, of which total and faults are counted.
	begun         time.Time
	total, faults int
}

func newOutlier(policy traffic.OutlierDetection, now func() time.Time) *outlier {
	return &outlier{policy: policy, now: now, begun: now()}
}

func (o *outlier) ejected() bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now().Before(o.until)
}

// report notes an outcome, and says whether the endpoint is to be ejected for it.
func (o *outlier) report(fault bool) (due bool) {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if now.Sub(o.begun) > duration(o.policy.Interval) {
		o.begun, o.total, o.faults = now, 0, 0
	}
	o.total++
	if o.inRow++; !fault {
		o.inRow = 0
	} else {
		o.faults++
	}
	return fault && !now.Before(o.until) && o.exceeded()
}

// eject takes the endpoint out; false says that it is out already.
func (o *outlier) eject() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if now.Before(o.until) {
		return false
	}
	o.ejections = o.remembered(now) + 1
	length := min(time.Duration(o.ejections)*duration(o.policy.BaseEjection), duration(o.policy.MaxEjection))
	o.until, o.inRow, o.begun, o.total, o.faults = now.Add(length), 0, now.Add(length), 0, 0
	return true
}

// remembered are the ejections that count: each interval since the last one takes one back.
func (o *outlier) remembered(now time.Time) int {
	interval := duration(o.policy.Interval)
	if o.ejections == 0 || interval <= 0 {
		return o.ejections
	}
	return max(0, o.ejections-int(now.Sub(o.until)/interval))
}

func (o *outlier) exceeded() bool {
	consecutive := *o.policy.ConsecutiveFaults
	return consecutive > 0 && o.inRow >= consecutive ||
		o.policy.ErrorRatio > 0 && o.total >= o.policy.MinRequests && float64(o.faults) >= o.policy.ErrorRatio*float64(o.total)
}
