// Package admin lets people and providers ask a running proxy what it does, and
// tell it what to do: a small HTTP API on a Unix socket, and the client of it.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"windlass/proxy"
	"windlass/schemas/traffic"
)

// maxConfiguration bounds a configuration, in bytes.
const maxConfiguration = 16 << 20

// Proxy is what is administered.
type Proxy interface {
	Apply(ctx context.Context, c traffic.Configuration) error
	Configuration() (traffic.Configuration, bool)
	Status() proxy.Status
	AwaitDrained(ctx context.Context, service, endpoint string) error
}

// Options are what a Server needs beside the proxy.
type Options struct {
	// Store keeps a configuration that works. When it fails the proxy goes on with the
	// configuration, and whoever applied it is told.
	Store func(traffic.Configuration) error
	// Upgrade lets another binary serve from now on, and returns when it does.
	Upgrade func(binary string) error
	// Version is that of the program.
	Version string
	// Others are the other processes of the same proxy: those that were replaced and
	// have not ended yet. Nil is none ever.
	Others func() []*Client
}

// followTime bounds what one of the others has to follow.
const followTime = 5 * time.Second

// Server serves the API:
//
//	GET  /configuration  what the proxy does
//	PUT  /configuration  makes it do something else: 200, 400 invalid, 409 older or another of the same version
//	GET  /status         the endpoints with their state and their requests in flight
//	GET  /drained?service=S&endpoint=E&timeout=30s  waits: 200, or 504 after the timeout
//	POST /upgrade        {"binary": PATH}: 200 when it serves, or 502 with the reason
//	GET  /version        {"version": ...}
//
// Whatever is no 200 has {"error": ...} and, where callers tell cases apart, "reason".
type Server struct {
	proxy   Proxy
	options Options
	// changing lets one change at a time happen, so that what is stored is what runs,
	// also for a process that takes over.
	changing sync.Mutex
	// replaced says that another process serves.
	replaced bool
}

// NewServer returns the API of a proxy.
func NewServer(p Proxy, o Options) *Server { return &Server{proxy: p, options: o} }

// Handler is the handler of the API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /configuration", s.configuration)
	mux.HandleFunc("PUT /configuration", s.apply)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.proxy.Status()) })
	mux.HandleFunc("GET /drained", func(w http.ResponseWriter, r *http.Request) { s.awaitDrained(w, r, s.drainedEverywhere) })
	mux.HandleFunc("POST /upgrade", s.upgrade)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, version{s.options.Version}) })
	return mux
}

// Follower is the part of the API that a process goes on to serve to its successor,
// until it ends: PUT /configuration, which changes nothing that is as new already, and
// GET /drained, of what it has itself.
func (s *Server) Follower() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /configuration", s.follow)
	mux.HandleFunc("GET /drained", func(w http.ResponseWriter, r *http.Request) { s.awaitDrained(w, r, s.proxy.AwaitDrained) })
	return mux
}

func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	c, err := readConfiguration(w, r)
	if err == nil {
		err = s.proxy.Apply(r.Context(), c)
	}
	switch {
	case err == nil, errors.Is(err, proxy.ErrOlder), errors.Is(err, proxy.ErrConflict):
		answer(w, http.StatusOK, struct{}{})
	default:
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
	}
}

// lead has the others do the same, as far as they still do something. One that has
// ended meanwhile, or cannot, is about to do nothing any more.
func (s *Server) lead(ctx context.Context, c traffic.Configuration) {
	text, err := json.Marshal(c)
	if err != nil {
		return // it was read from such a text
	}
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	var all sync.WaitGroup
	for _, other := range s.others() {
		all.Go(func() { _ = other.Apply(ctx, text) })
	}
	all.Wait()
}

func (s *Server) others() []*Client {
	if s.options.Others == nil {
		return nil
	}
	return s.options.Others()
}

// drainedEverywhere returns when neither this process nor one of the others has something
// in flight to an endpoint.
func (s *Server) drainedEverywhere(ctx context.Context, service, endpoint string) error {
	if err := s.proxy.AwaitDrained(ctx, service, endpoint); err != nil {
		return err
	}
	others := s.others()
	if c, ok := s.proxy.Configuration(); ok && len(others) > 0 {
		s.lead(ctx, c) // one that has not heard yet that the endpoint is out
	}
	for _, other := range others {
		deadline, _ := ctx.Deadline()
		err := other.Drained(ctx, service, endpoint, max(0, time.Until(deadline)))
		if err != nil && !errors.Is(err, ErrUnreachable) { // it has ended
			return err
		}
	}
	return ctx.Err()
}

type version struct {
	Version string `json:"version"`
}

// refusal is what is answered when something is not done.
type refusal struct {
	Error  string `json:"error"`
	Reason string `json:"reason,omitempty"`
}

// The reasons that callers tell apart.
const (
	reasonOlder    = "older"
	reasonConflict = "conflict"
	reasonInvalid  = "invalid"
	reasonDrain    = "not-drained"
	reasonReplaced = "replaced"
)

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that is gone needs no answer
}

func (s *Server) configuration(w http.ResponseWriter, _ *http.Request) {
	c, ok := s.proxy.Configuration()
	if !ok {
		answer(w, http.StatusNotFound, refusal{Error: "there is no configuration yet"})
		return
	}
	answer(w, http.StatusOK, c)
}

func readConfiguration(w http.ResponseWriter, r *http.Request) (traffic.Configuration, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxConfiguration))
	if err != nil {
		return traffic.Configuration{}, err
	}
	return traffic.ParseConfiguration(text)
}

func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	c, err := readConfiguration(w, r)
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
		return
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.replaced {
		answer(w, http.StatusConflict, refusal{"another process serves by now; ask again", reasonReplaced})
		return
	}
	err = s.proxy.Apply(r.Context(), c)
	switch {
	case errors.Is(err, proxy.ErrOlder):
		answer(w, http.StatusConflict, refusal{err.Error(), reasonOlder})
	case errors.Is(err, proxy.ErrConflict):
		answer(w, http.StatusConflict, refusal{err.Error(), reasonConflict})
	case err != nil:
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
	default:
		s.lead(r.Context(), c)
		if err := s.options.Store(c); err != nil {
			answer(w, http.StatusInternalServerError, refusal{Error: "the configuration runs, but will not after a restart: " + err.Error()})
			return
		}
		answer(w, http.StatusOK, struct {
			Version uint64 `json:"version"`
		}{c.Version})
	}
}

// awaitDrained answers when await has returned, at most after the timeout that is asked for.
func (s *Server) awaitDrained(w http.ResponseWriter, r *http.Request, await func(ctx context.Context, service, endpoint string) error) {
	query := r.URL.Query()
	timeout, err := time.ParseDuration(query.Get("timeout"))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{"timeout: " + err.Error(), reasonInvalid})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	err = await(ctx, query.Get("service"), query.Get("endpoint"))
	switch {
	case err == nil:
		answer(w, http.StatusOK, struct{}{})
	case ctx.Err() != nil, errors.Is(err, ErrNotDrained):
		answer(w, http.StatusGatewayTimeout, refusal{"there are requests in flight after " + timeout.String(), reasonDrain})
	default:
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
	}
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Binary string `json:"binary"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxConfiguration)).Decode(&asked); err != nil {
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
		return
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.replaced {
		answer(w, http.StatusConflict, refusal{"another process serves by now; ask again", reasonReplaced})
		return
	}
	if err := s.options.Upgrade(asked.Binary); err != nil {
		answer(w, http.StatusBadGateway, refusal{Error: err.Error()})
		return
	}
	s.replaced = true
	answer(w, http.StatusOK, struct{}{})
}
