package cluster

import (
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// renewing sends requests with the credentials of a kubeconfig. When the server refuses
// them it reads the kubeconfig, and the files and programs that it names, once more: a
// token that somebody has renewed is taken at once, and not when the old one was to be
// looked at again.
type renewing struct {
	from Config

	mutex   sync.Mutex
	current http.RoundTripper
	// lost is when a request last had no answer, or that of a server that is away.
	lost time.Time
}

func newRenewing(from Config, config *rest.Config) (*renewing, error) {
	transport, err := rest.TransportFor(config)
	return &renewing{from: from, current: transport}, err
}

// RoundTrip implements http.RoundTripper.
func (r *renewing) RoundTrip(request *http.Request) (*http.Response, error) {
	used := r.transport()
	answer, err := used.RoundTrip(request)
	// A 500 is no sign of it: it also answers what is not of the type of its kind.
	if request.Context().Err() == nil && (err != nil || answer.StatusCode > http.StatusInternalServerError) {
		r.lose()
	}
	if err != nil || answer.StatusCode != http.StatusUnauthorized || request.Body != nil && request.GetBody == nil {
		return answer, err
	}
	renewed, failure := r.renew(used)
	if failure != nil {
		return answer, nil // what the server said is the better error
	}
	again := request.Clone(request.Context())
	if request.GetBody != nil {
		if again.Body, failure = request.GetBody(); failure != nil {
			return answer, nil
		}
	}
	_ = answer.Body.Close()
	return renewed.RoundTrip(again)
}

func (r *renewing) transport() http.RoundTripper {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.current
}

// renew is the transport after the one that was refused. Of several requests that are
// refused together the first makes it.
func (r *renewing) renew(refused http.RoundTripper) (http.RoundTripper, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.current != refused {
		return r.current, nil
	}
	config, err := configuration(r.from)
	if err != nil {
		return nil, err
	}
	renewed, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	r.current = renewed
	return renewed, nil
}

// settleTime is for how long after it could not be reached a server may refuse users whom
// it knows: one that has just started answers before it has read who may do what.
const settleTime = 15 * time.Second

func (r *renewing) lose() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lost = time.Now()
}

// settling says whether the server may have started a moment ago.
func (r *renewing) settling() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return time.Since(r.lost) < settleTime
}
