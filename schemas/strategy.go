package schemas

import (
	"time"

	"windlass/schemas/quantity"
)

// Strategy is how the replicas of a Compute move from one version to the next. It is
// no part of a version: a change of it alone moves nothing.
type Strategy struct {
	// Type is RollingUpdate (default), Recreate, BlueGreen or Canary.
	Type StrategyType `json:"type,omitempty"`
	// MaxSurge is how many replicas there may be above the declared ones, rounded up;
	// the default is 25%. Of RollingUpdate alone.
	MaxSurge *quantity.Portion `json:"maxSurge,omitempty"`
	// MaxUnavailable is how many of the declared replicas need not serve, rounded down;
	// the default is 0. Where both come to 0, it is 1. Of RollingUpdate alone.
	MaxUnavailable *quantity.Portion `json:"maxUnavailable,omitempty"`
	// MinReadySeconds is how long a new replica has to stay healthy before it counts;
	// the default is 0.
	MinReadySeconds int `json:"minReadySeconds,omitempty"`
	// ProgressDeadlineSeconds is how long the rollout may go on without a replica that
	// became available; the default is 600. It stands still while the rollout is paused.
	ProgressDeadlineSeconds int `json:"progressDeadlineSeconds,omitempty"`
	// Monitor is how long the new replicas are watched after the last of them serves;
	// the default is 0s.
	Monitor quantity.Duration `json:"monitor,omitempty"`
	// MaxFailureRatio is the share of the declared replicas, from 0 to 1, that may fail
	// and be made again before the rollout fails; the default is 0.
	MaxFailureRatio float64 `json:"maxFailureRatio,omitempty"`
	// Warm is how long the old replicas are kept, out of traffic, after a BlueGreen
	// switch; the default is 30s.
	Warm *quantity.Duration `json:"warm,omitempty"`
	// Steps are those of a Canary, in their order.
	Steps []CanaryStep `json:"steps,omitempty"`
}

// StrategyType is a way to exchange replicas.
type StrategyType string

// The strategies.
const (
	// StrategyRollingUpdate exchanges some replicas at a time.
	StrategyRollingUpdate StrategyType = "RollingUpdate"
	// StrategyRecreate removes every old replica before it makes a new one.
	StrategyRecreate StrategyType = "Recreate"
	// StrategyBlueGreen makes every new replica beside the old ones and then moves all
	// requests at once.
	StrategyBlueGreen StrategyType = "BlueGreen"
	// StrategyCanary gives the new version a growing share of the requests.
	StrategyCanary StrategyType = "Canary"
)

// CanaryStep is one share of the requests, and what has to happen before the next.
type CanaryStep struct {
	// Weight is the share of the requests in percent, from 0 to 100.
	Weight int `json:"weight"`
	// Pause holds the step, after its analysis.
	Pause *CanaryPause `json:"pause,omitempty"`
	// Analysis decides whether the step is well.
	Analysis *Analysis `json:"analysis,omitempty"`
}

// CanaryPause holds a step for a time, or until somebody promotes it.
type CanaryPause struct {
	// Duration is how long; the default is until somebody promotes.
	Duration *quantity.Duration `json:"duration,omitempty"`
}

// Analysis measures the new version several times. Exactly one of HTTP, Exec, Metrics
// and PromQL is set.
type Analysis struct {
	// Interval lies before each measurement; the default is 5s.
	Interval *quantity.Duration `json:"interval,omitempty"`
	// Count is how many measurements there are; the default is 1.
	Count int `json:"count,omitempty"`
	// FailureLimit is how many of them may fail; the default is 0.
	FailureLimit int              `json:"failureLimit,omitempty"`
	HTTP         *HTTPAnalysis    `json:"http,omitempty"`
	Exec         *ExecCheck       `json:"exec,omitempty"`
	Metrics      *MetricsAnalysis `json:"metrics,omitempty"`
	PromQL       *PromQLAnalysis  `json:"promql,omitempty"`
}

// HTTPAnalysis passes when GET of each new replica answers with the status.
type HTTPAnalysis struct {
	// Path starts with a slash; the default is "/".
	Path string `json:"path,omitempty"`
	Port int    `json:"port"`
	// Status is the expected one; the default is any from 200 to 399.
	Status int `json:"status,omitempty"`
}

// MetricsAnalysis passes when what the proxies counted for the new version since the
// measurement before stays within every bound that is given.
type MetricsAnalysis struct {
	// MaxErrorRatio is the share of the requests, from 0 to 1, that may be answered
	// with 5xx or not at all.
	MaxErrorRatio *float64 `json:"maxErrorRatio,omitempty"`
	// MaxLatency bounds the quantile of the time that a request took.
	MaxLatency *quantity.Duration `json:"maxLatency,omitempty"`
	// Quantile is that of MaxLatency, above 0 and at most 1; the default is 0.99.
	Quantile float64 `json:"quantile,omitempty"`
	// MinRequests is how many requests a measurement needs: with fewer it fails. The
	// default is 1.
	MinRequests *int `json:"minRequests,omitempty"`
}

// PromQLAnalysis passes when the one value of a query over the proxies' metrics is
// within the bounds. The metrics reach back to the beginning of the analysis. Those of
// endpoints have the label version, which is new or old; all have the label proxy, the
// name of the container.
type PromQLAnalysis struct {
	Query string   `json:"query"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
}

const defaultProgressDeadline = 600

// WithDefaults returns a copy in which every optional field has its value.
func (s Strategy) WithDefaults() Strategy {
	if s.Type == "" {
		s.Type = StrategyRollingUpdate
	}
	if s.MaxSurge == nil {
		quarter := quantity.Percent(25)
		s.MaxSurge = &quarter
	}
	if s.MaxUnavailable == nil {
		none := quantity.Count(0)
		s.MaxUnavailable = &none
	}
	if s.ProgressDeadlineSeconds == 0 {
		s.ProgressDeadlineSeconds = defaultProgressDeadline
	}
	if s.Warm == nil {
		warm := quantity.Duration(30 * time.Second)
		s.Warm = &warm
	}
	steps := make([]CanaryStep, len(s.Steps))
	for i, step := range s.Steps {
		if step.Analysis != nil {
			a := step.Analysis.withDefaults()
			step.Analysis = &a
		}
		steps[i] = step
	}
	s.Steps = steps
	return s
}

func (a Analysis) withDefaults() Analysis {
	if a.Interval == nil {
		interval := quantity.Duration(5 * time.Second)
		a.Interval = &interval
	}
	if a.Count == 0 {
		a.Count = 1
	}
	if a.HTTP != nil && a.HTTP.Path == "" {
		h := *a.HTTP
		h.Path = "/"
		a.HTTP = &h
	}
	if a.Metrics != nil {
		m := *a.Metrics
		if m.Quantile == 0 {
			m.Quantile = 0.99
		}
		if m.MinRequests == nil {
			one := 1
			m.MinRequests = &one
		}
		a.Metrics = &m
	}
	return a
}

// Limits are how many replicas there may be above n, and how many of n need not
// serve, as Kubernetes rounds them.
func (s Strategy) Limits(n int) (surge, unavailable int) {
	surge, unavailable = s.MaxSurge.Up(n), min(s.MaxUnavailable.Down(n), n)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, unavailable
}
