package integration

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// httpGate stands between a worker and a server that speaks HTTP: the container
// engine, or Temporal, whose gRPC is HTTP/2.
type httpGate struct {
	trap
	handler   http.Handler
	listen    func() (net.Listener, error)
	protocols http.Protocols

	mutex  sync.Mutex
	server *http.Server
	hold   func(*http.Request)
}

// springKey marks the request at which the trap springs when the answer is there.
type springKey struct{}

var errSprung = errors.New("the trap has sprung")

// newHTTPGate forwards to the target. The calls that nameOf gives a name are counted.
func newHTTPGate(target string, transport http.RoundTripper, nameOf func(*http.Request) string) *httpGate {
	g := &httpGate{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: target}) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(discard{}, "", 0),
		ModifyResponse: func(r *http.Response) error {
			if act, ok := r.Request.Context().Value(springKey{}).(func()); ok {
				act()
				return errSprung
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := nameOf(r); name != "" {
			g.pause(r)
			before, after := g.enter(name)
			if before != nil {
				before()
				panic(http.ErrAbortHandler)
			}
			if after != nil {
				// The caller dies at this; what it asked for must be done nevertheless.
				r = r.WithContext(context.WithValue(context.WithoutCancel(r.Context()), springKey{}, after))
			}
		}
		proxy.ServeHTTP(w, r)
	})
	return g
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// newEngineGate is a socket in front of the container engine that counts the
// requests that change something.
func newEngineGate(t *testing.T) (gate *httpGate, address string) {
	t.Helper()
	// The path of a socket may have 108 bytes, which that of a test's directory exceeds.
	dir, err := os.MkdirTemp("", "gate")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "engine.sock")
	dialer := net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", engineSocket())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	gate = newHTTPGate("engine", transport, func(r *http.Request) string {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodDelete:
			return r.Method + " " + engineCall(r.URL)
		}
		return ""
	})
	gate.protocols.SetHTTP1(true)
	gate.listen = func() (net.Listener, error) {
		if err := os.RemoveAll(socket); err != nil {
			return nil, err
		}
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
		if err == nil {
			// A socket without a listener refuses connections, as a dead engine's does.
			listener.SetUnlinkOnClose(false)
		}
		return listener, err
	}
	gate.open(t)
	return gate, "unix://" + socket
}

// engineCall is what a request asks for, without what differs from run to run.
func engineCall(u *url.URL) string {
	_, call, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if name := u.Query().Get("name"); name != "" {
		return call + " " + name
	}
	return call
}

// newTemporalGate is an address in front of the Temporal server that counts the
// calls by which a worker moves a workflow.
func newTemporalGate(t *testing.T, target string) (gate *httpGate, address string) {
	t.Helper()
	transport := &http.Transport{}
	transport.Protocols = &http.Protocols{}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	gate = newHTTPGate(target, transport, func(r *http.Request) string {
		call := path.Base(r.URL.Path)
		if strings.HasPrefix(call, "Respond") || strings.HasPrefix(call, "SignalWithStart") {
			return call
		}
		return ""
	})
	gate.protocols.SetUnencryptedHTTP2(true)
	address = "127.0.0.1:0"
	gate.listen = func() (net.Listener, error) {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			address = listener.Addr().String()
		}
		return listener, err
	}
	gate.open(t)
	return gate, address
}

// open takes connections, at the same address each time.
func (g *httpGate) open(t *testing.T) {
	t.Helper()
	listener, err := g.listen()
	require.NoError(t, err)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	server := &http.Server{Handler: g.handler, Protocols: &g.protocols, ErrorLog: log.New(discard{}, "", 0)}
	g.server = server
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
}

// shut refuses connections and breaks those that there are.
func (g *httpGate) shut() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	_ = g.server.Close()
}

// holding calls a function with each counted request before it is passed on, which
// the function can delay. Nil ends that.
func (g *httpGate) holding(hold func(*http.Request)) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.hold = hold
}

func (g *httpGate) pause(r *http.Request) {
	g.mutex.Lock()
	hold := g.hold
	g.mutex.Unlock()
	if hold != nil {
		hold(r)
	}
}
