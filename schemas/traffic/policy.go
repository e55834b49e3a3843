// Package traffic holds the words in which traffic is steered: the policy that a
// LoadBalancer declares, and the configuration that a proxy runs by. No I/O, and
// nothing beyond the standard library, so that the proxy stays small.
package traffic

import "windlass/schemas/quantity"

// Policy says how requests are spread over endpoints and what happens when an
// endpoint fails. The zero value is a policy: its defaults are named at each field.
type Policy struct {
	// LoadBalancer chooses the endpoint of a request, or of a connection with
	// TCP pass-through; the default is RoundRobin.
	LoadBalancer Balancing `json:"loadBalancer,omitempty"`
	// HealthCheck asks each endpoint regularly; the default is not to ask.
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`
	// OutlierDetection takes out endpoints by what requests to them end in; the
	// default is not to.
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
	// PanicThreshold, from 0 to 1, is the share of the endpoints that must be well: when
	// fewer are, those that are not get requests too, since the few could not carry the
	// load, or the checks are wrong. The default is 0: when none is.
	PanicThreshold float64 `json:"panicThreshold,omitempty"`
	// CircuitBreaker stops requests to an endpoint that fails; the default is none.
	CircuitBreaker *CircuitBreaker `json:"circuitBreaker,omitempty"`
	// Retry repeats failed requests; the default is not to.
	Retry *Retry `json:"retry,omitempty"`
	// Timeout bounds a request and its parts.
	Timeout Timeouts `json:"timeout,omitzero"`
	// Limits bound what a service takes on.
	Limits Limits `json:"limits,omitzero"`
	// DrainTimeout is how long an endpoint that is taken out may finish what it has
	// in flight; the default is 30s.
	DrainTimeout *quantity.Duration `json:"drainTimeout,omitempty"`
	// SlowStart is how long a new endpoint's share grows, from a tenth of what is
	// its own to the whole; the default is 0s: at once.
	SlowStart *quantity.Duration `json:"slowStart,omitempty"`
}

// Balancing is a way to choose an endpoint.
type Balancing string

// The ways to choose an endpoint.
const (
	// RoundRobin takes one endpoint after the other.
	RoundRobin Balancing = "RoundRobin"
	// LeastConnections takes the endpoint with the fewest requests in flight.
	LeastConnections Balancing = "LeastConnections"
	// Random takes the one with fewer requests in flight of two drawn by lot
	// (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).
	Random Balancing = "Random"
	// Weighted takes endpoints in proportion to their weights, evenly mixed, as the
	// smooth weighted round-robin of nginx does.
	Weighted Balancing = "Weighted"
)

// HealthCheck asks an endpoint whether it can serve, by GET over HTTP. With TCP
// pass-through a connection is opened instead.
type HealthCheck struct {
	// Path starts with a slash; the default is "/". The check passes with a status
	// from 200 to 399.
	Path string `json:"path,omitempty"`
	// Port is the port asked; the default is the endpoint's own.
	Port int `json:"port,omitempty"`
	// Interval lies between two checks; the default is 2s.
	Interval *quantity.Duration `json:"interval,omitempty"`
	// Timeout bounds one check; the default is 2s.
	Timeout *quantity.Duration `json:"timeout,omitempty"`
	// HealthyThreshold is how many checks in a row must pass before an endpoint that
	// was unhealthy serves again; the default is 1.
	HealthyThreshold int `json:"healthyThreshold,omitempty"`
	// UnhealthyThreshold is how many checks in a row must fail before an endpoint is
	// taken out; the default is 3.
	UnhealthyThreshold int `json:"unhealthyThreshold,omitempty"`
}

// OutlierDetection ejects an endpoint for a time because of the faults that
// requests to it end in. A fault is a 5xx status, a timeout, or a connection that
// could not be opened or broke off. The n-th ejection lasts n times as long as the
// first; each Interval without one takes one back, as Envoy does it.
type OutlierDetection struct {
	// ConsecutiveFaults ejects after that many in a row; the default is 5, 0 never does.
	ConsecutiveFaults *int `json:"consecutiveFaults,omitempty"`
	// ErrorRatio, from 0 to 1, ejects when that share of the requests of one Interval
	// were faults; the default is 0: never.
	ErrorRatio float64 `json:"errorRatio,omitempty"`
	// MinRequests is how many requests an Interval must have for ErrorRatio to be
	// judged; the default is 20.
	MinRequests int `json:"minRequests,omitempty"`
	// Interval is the window of ErrorRatio; the default is 10s.
	Interval *quantity.Duration `json:"interval,omitempty"`
	// BaseEjection is how long the first ejection lasts; the default is 10s.
	BaseEjection *quantity.Duration `json:"baseEjection,omitempty"`
	// MaxEjection bounds every ejection; the default is 5m.
	MaxEjection *quantity.Duration `json:"maxEjection,omitempty"`
	// MaxEjectedShare, from 0 to 1, is the share of the endpoints that may be ejected
	// at once; the default is 0.5. One may always be where there are at least two.
	MaxEjectedShare *float64 `json:"maxEjectedShare,omitempty"`
}

// CircuitBreaker stops requests to one endpoint: closed lets them through, open
// none, and half-open one, whose outcome closes or opens it. Faults are those of
// OutlierDetection.
type CircuitBreaker struct {
	// MaxFailures opens the breaker after that many faults in a row; the default is 5.
	MaxFailures int `json:"maxFailures,omitempty"`
	// FailureThreshold, from 0 to 1, opens the breaker when that share of the last 100
	// requests, of which there must be at least MaxFailures, were faults; the default
	// is 0: it is not looked at.
	FailureThreshold float64 `json:"failureThreshold,omitempty"`
	// RecoveryTimeout is how long the breaker stays open; the default is 30s.
	RecoveryTimeout *quantity.Duration `json:"recoveryTimeout,omitempty"`
}

// RetryOn names what is tried again.
type RetryOn string

// What is tried again.
const (
	// Retry5xx is an answer with a status from 500 to 599.
	Retry5xx RetryOn = "5xx"
	// RetryConnectFailure is a connection that could not be opened. Nothing was sent,
	// so that every request may be tried again.
	RetryConnectFailure RetryOn = "connect-failure"
	// RetryReset is a connection that broke off before the answer began.
	RetryReset RetryOn = "reset"
	// RetryTimeout is a try that took longer than RetryTimeout.
	RetryTimeout RetryOn = "timeout"
)

// Retry repeats a request, at another endpoint where there is one. But for
// RetryConnectFailure only requests with an idempotent method (RFC 9110, 9.2.2) or
// with an Idempotency-Key header are, and only while no byte of the answer was
// passed on and the request's body is still held.
type Retry struct {
	// MaxRetries is how often a request is repeated; the default is 2.
	MaxRetries *int `json:"maxRetries,omitempty"`
	// RetryOn lists what is tried again; the default is connect-failure and reset.
	RetryOn []RetryOn `json:"retryOn,omitempty"`
	// RetryTimeout bounds one try; the default is without a bound of its own.
	RetryTimeout *quantity.Duration `json:"retryTimeout,omitempty"`
	// Backoff is what the first repetition waits for at most; it doubles with each,
	// and the wait is drawn by lot. The default is 25ms.
	Backoff *quantity.Duration `json:"backoff,omitempty"`
	// Budget, from 0 to 1, is how many retries there may be for each request, over
	// the last ten seconds and beside three that are always allowed; the default is 0.2.
	Budget *float64 `json:"budget,omitempty"`
	// NonIdempotent repeats requests of every method.
	NonIdempotent bool `json:"nonIdempotent,omitempty"`
}

// Timeouts bound a request. A duration of 0s is no bound.
type Timeouts struct {
	// RequestTimeout lies between the request's headers and the end of the answer,
	// retries included; the default is 0s. Streams and WebSockets need it to be 0s.
	RequestTimeout *quantity.Duration `json:"requestTimeout,omitempty"`
	// HeaderTimeout is how long an endpoint has to begin its answer; the default is 60s.
	HeaderTimeout *quantity.Duration `json:"headerTimeout,omitempty"`
	// ConnectTimeout is how long a connection to an endpoint may take to open; the
	// default is 2s.
	ConnectTimeout *quantity.Duration `json:"connectTimeout,omitempty"`
	// IdleTimeout ends a connection, of a client or to an endpoint, on which nothing
	// is asked; the default is 60s.
	IdleTimeout *quantity.Duration `json:"idleTimeout,omitempty"`
	// BodyIdleTimeout is how long a client may send nothing of a body that is waited for
	// while nothing of its answer moves either, or take nothing of an answer; the default
	// is 60s. An endpoint that is silent, as one that sends events now and then, is none of
	// its affair. A stream on which both sides may be silent for longer, and the client has
	// not ended its body, needs it to be 0s. A listener bounds what its connections do not
	// take by the longest of its services'.
	BodyIdleTimeout *quantity.Duration `json:"bodyIdleTimeout,omitempty"`
}

// Limits bound what is taken on. 0 is the default that is named.
type Limits struct {
	// MaxConnections is how many connections are open to one endpoint; the default is
	// without a bound.
	MaxConnections int `json:"maxConnections,omitempty"`
	// MaxPending is how many requests wait for a connection of one endpoint before
	// more are refused; the default is 1,024. It needs MaxConnections.
	MaxPending int `json:"maxPending,omitempty"`
	// MaxBodyBytes bounds the body of a request; the default is without a bound.
	MaxBodyBytes int64 `json:"maxBodyBytes,omitempty"`
}
