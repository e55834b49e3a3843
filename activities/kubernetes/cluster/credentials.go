package cluster

import (
	"net/http"
	"sync"

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
}

func newRenewing(from Config, config *rest.Config) (*renewing, error) {
	transport, err := rest.TransportFor(config)
	return &renewing{from: from, current: transport}, err
}

// RoundTrip implements http.RoundTripper.
func (r *renewing) RoundTrip(request *http.Request) (*http.Response, error) {
	used := r.transport()
	answer, err := used.RoundTrip(request)
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
