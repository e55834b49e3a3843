package schemas

import (
	"time"

	"windlass/schemas/quantity"
)

// Health is a check that decides whether a replica can serve. Exactly one of
// HTTP, TCP and Exec is set.
type Health struct {
	HTTP *HTTPCheck `json:"http,omitempty"`
	TCP  *TCPCheck  `json:"tcp,omitempty"`
	Exec *ExecCheck `json:"exec,omitempty"`
	// Interval lies between two checks; the default is 2s.
	Interval *quantity.Duration `json:"interval,omitempty"`
	// Timeout bounds one check; the default is 2s.
	Timeout *quantity.Duration `json:"timeout,omitempty"`
	// StartPeriod is how long a new replica may fail its checks before failures
	// count; the default is 30s.
	StartPeriod *quantity.Duration `json:"startPeriod,omitempty"`
	// HealthyThreshold is how many checks in a row must pass; the default is 1.
	HealthyThreshold int `json:"healthyThreshold,omitempty"`
	// UnhealthyThreshold is how many checks in a row must fail; the default is 3.
	UnhealthyThreshold int `json:"unhealthyThreshold,omitempty"`
}

// HTTPCheck passes when GET answers with a status from 200 to 399.
type HTTPCheck struct {
	// Path starts with a slash; the default is "/".
	Path string `json:"path,omitempty"`
	Port int    `json:"port"`
}

// TCPCheck passes when a connection is accepted.
type TCPCheck struct {
	Port int `json:"port"`
}

// ExecCheck passes when the command, run in the container, exits with 0.
type ExecCheck struct {
	Command []string `json:"command"`
}

var (
	defaultStopGracePeriod = quantity.Duration(10 * time.Second)
	defaultCheckInterval   = quantity.Duration(2 * time.Second)
	defaultCheckTimeout    = quantity.Duration(2 * time.Second)
	defaultStartPeriod     = quantity.Duration(30 * time.Second)
)

// WithDefaults returns a copy in which every optional field has its value.
func (h Health) WithDefaults() Health {
	if h.HTTP != nil && h.HTTP.Path == "" {
		h.HTTP = &HTTPCheck{Path: "/", Port: h.HTTP.Port}
	}
	if h.Interval == nil {
		h.Interval = &defaultCheckInterval
	}
	if h.Timeout == nil {
		h.Timeout = &defaultCheckTimeout
	}
	if h.StartPeriod == nil {
		h.StartPeriod = &defaultStartPeriod
	}
	if h.HealthyThreshold == 0 {
		h.HealthyThreshold = 1
	}
	if h.UnhealthyThreshold == 0 {
		h.UnhealthyThreshold = 3
	}
	return h
}

// Deadline is how long a new replica has to become healthy: the start period,
// and then as many failing checks as make it unhealthy.
func (h Health) Deadline() time.Duration {
	h = h.WithDefaults()
	return time.Duration(*h.StartPeriod) + time.Duration(h.UnhealthyThreshold+h.HealthyThreshold)*time.Duration(*h.Interval) + time.Duration(*h.Timeout)
}
