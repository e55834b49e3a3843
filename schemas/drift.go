package schemas

import (
	"cmp"
	"time"

	"windlass/schemas/quantity"
)

// Drift says how often reality is held against the last revision that was deployed
// whole, and what becomes of a difference.
type Drift struct {
	// Interval lies between two observations; at least 10s, the default is 5m.
	Interval quantity.Duration `json:"interval,omitempty"`
	// SelfHeal puts back what is different; without it, it is only told.
	SelfHeal bool `json:"selfHeal,omitempty"`
}

const (
	defaultDriftInterval  = quantity.Duration(5 * time.Minute)
	shortestDriftInterval = quantity.Duration(10 * time.Second)
)

// WithDefaults returns a copy in which every optional field has its value.
func (d Drift) WithDefaults() Drift {
	d.Interval = cmp.Or(d.Interval, defaultDriftInterval)
	return d
}
