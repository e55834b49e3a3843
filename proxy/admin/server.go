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
}

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
	mux.HandleFunc("GET /drained", s.drained)
	mux.HandleFunc("POST /upgrade", s.upgrade)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, version{s.options.Version}) })
	return mux
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

func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxConfiguration))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{err.Error(), reasonInvalid})
		return
	}
	c, err := traffic.ParseConfiguration(text)
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
		if err := s.options.Store(c); err != nil {
			answer(w, http.StatusInternalServerError, refusal{Error: "the configuration runs, but will not after a restart: " + err.Error()})
			return
		}
		answer(w, http.StatusOK, struct {
			Version uint64 `json:"version"`
		}{c.Version})
	}
}

func (s *Server) drained(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	timeout, err := time.ParseDuration(query.Get("timeout"))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{"timeout: " + err.Error(), reasonInvalid})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	err = s.proxy.AwaitDrained(ctx, query.Get("service"), query.Get("endpoint"))
	switch {
	case err == nil:
		answer(w, http.StatusOK, struct{}{})
	case ctx.Err() != nil:
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
