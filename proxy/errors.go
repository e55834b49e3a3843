package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// What Apply refuses.
var (
	// ErrOlder is a configuration with a lower version than the one that runs.
	ErrOlder = errors.New("it is older than what runs")
	// ErrConflict is another configuration of the version that runs.
	ErrConflict = errors.New("another configuration of the same version runs")
)

// kind tells apart why a request was not served, for callers and in metrics.
type kind string

const (
	noRoute     kind = "no-route"
	noUpstream  kind = "no-upstream"
	circuitOpen kind = "circuit-open"
	timedOut    kind = "timeout"
	network     kind = "network"
	limited     kind = "limit"
	tooLarge    kind = "too-large"
	refused     kind = "refused"
	// malformed is a body that the client broke off or did not frame as it should, and
	// tooSlow one that did not come in time.
	malformed kind = "client"
	tooSlow   kind = "client-timeout"
	// clientGone is told to nobody but the metrics.
	clientGone kind = "client-gone"
)

// ofClient says that the client alone is the reason.
func (k kind) ofClient() bool {
	return k == clientGone || k == tooLarge || k == malformed || k == tooSlow
}

// ErrorHeader says in an answer of the proxy itself why it is none of an endpoint:
// no-route, no-upstream, circuit-open, timeout, network, limit, too-large, refused, client
// or client-timeout.
const ErrorHeader = "Windlass-Error"

// problem is a request that was not served.
type problem struct {
	kind kind
	err  error
}

func (p *problem) Error() string {
	if p.err == nil {
		return string(p.kind)
	}
	return string(p.kind) + ": " + p.err.Error()
}

func (p *problem) Unwrap() error { return p.err }

var answers = map[kind]struct {
	status int
	text   string
}{
	noRoute:     {http.StatusNotFound, "nothing is served under this address"},
	noUpstream:  {http.StatusServiceUnavailable, "no endpoint can serve this request now"},
	circuitOpen: {http.StatusServiceUnavailable, "the endpoints fail, and are given time to recover"},
	timedOut:    {http.StatusGatewayTimeout, "the endpoint did not answer in time"},
	network:     {http.StatusBadGateway, "the connection to the endpoint failed"},
	limited:     {http.StatusServiceUnavailable, "there are too many requests at once"},
	tooLarge:    {http.StatusRequestEntityTooLarge, "the request is too large"},
	refused:     {http.StatusForbidden, "this caller may not ask here"},
	malformed:   {http.StatusBadRequest, "the body of the request is broken"},
	tooSlow:     {http.StatusRequestTimeout, "the body of the request did not come in time"},
	clientGone:  {499, "the caller has left"}, // nginx's number; nobody reads it
}

// tell answers a request that was not served. Nothing internal is told.
func tell(w http.ResponseWriter, k kind) {
	a := answers[k]
	w.Header().Set(ErrorHeader, string(k))
	http.Error(w, a.text, a.status)
}

// kindOf sorts what a try ended with.
func kindOf(err error) kind {
	var known *problem
	var tooBig *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &known):
		return known.kind
	case errors.As(err, &tooBig):
		return tooLarge
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	case errors.Is(err, context.Canceled):
		return clientGone
	default:
		return network
	}
}

// isConnectFailure says that nothing was sent, since no connection could be opened.
func isConnectFailure(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}
