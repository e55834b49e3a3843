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
	// until is when the endpoint is back; ejections counts how often it was out.
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

// report notes an outcome, and ejects the endpoint where permitted says that one
// more may be out.
func (o *outlier) report(fault bool, permitted func() bool) (ejected bool) {
	if o == nil {
		return false
	}
	o.mu.Lock()
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
	due := !now.Before(o.until) && fault && o.exceeded()
	o.mu.Unlock()
	// Whether more may be out asks the other endpoints, which must not wait for this one.
	if !due || !permitted() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ejections++
	length := min(time.Duration(o.ejections)*duration(o.policy.BaseEjection), duration(o.policy.MaxEjection))
	o.until, o.inRow, o.begun, o.total, o.faults = now.Add(length), 0, now.Add(length), 0, 0
	return true
}

func (o *outlier) exceeded() bool {
	consecutive := *o.policy.ConsecutiveFaults
	return consecutive > 0 && o.inRow >= consecutive ||
		o.policy.ErrorRatio > 0 && o.total >= o.policy.MinRequests && float64(o.faults) >= o.policy.ErrorRatio*float64(o.total)
}
