package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Gate is an address in front of the API server, for tests of what becomes of a client when the way to the server is bad. It has
// a certificate of the cluster's authority, so that a client sees no difference. It is safe for concurrent use. Whoever opened it
// calls Close.
type Gate struct {
	cluster *Cluster
	port    *port
	proxy   *httputil.ReverseProxy
	tls     *tls.Config

	// mu guards all below.
	mu sync.Mutex
	// server is nil while the gate is cut.
	server   *http.Server
	troubles []*trouble
	passed   []string
}

// Trouble is what befalls requests at a Gate.
type Trouble struct {
	// Method and Path select requests: Path is a part of path and query. Empty is any.
	Method, Path string
	// Writes selects only requests that change something: POST, PUT, PATCH and DELETE, and no dry runs.
	Writes bool
	// Skip is how many of the selected requests come before it, and Times how many it befalls then; 0 is one, and a negative
	// number all.
	Skip, Times int
	// Once has it befall each method and path only the first time, so that who begins anew after each trouble comes one request
	// further.
	Once bool
	// Late lets the request take effect first, so that only the answer is lost. Otherwise the server never sees the request.
	Late bool
	// Do is called before anything is answered; nil does nothing.
	Do func()
	// Code is the HTTP status code that is answered in place of the server's. With 0 the server answers.
	Code int
	// Reason is that of the Status in the answer, such as "Expired". Empty answers with plain text, as what stands before the
	// API does.
	Reason string
	// RetryAfter is the header of that name in the answer, in seconds; 0 is none.
	RetryAfter int
}

// trouble is a Trouble with the requests that it selected.
type trouble struct {
	Trouble
	seen, befallen int
	// met are the methods and paths that it has befallen.
	met map[string]bool
}

// OpenGate opens a gate that lets everything pass.
func (c *Cluster) OpenGate() (*Gate, error) {
	certificate, key, err := c.authority.serving()
	if err != nil {
		return nil, fmt.Errorf("open a gate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("open a gate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA())
	g := &Gate{cluster: c, tls: &tls.Config{Certificates: []tls.Certificate{pair}}}
	if g.port, err = reservePort(); err != nil {
		return nil, fmt.Errorf("open a gate: %w", err)
	}
	address, err := url.Parse(c.URL())
	if err != nil {
		return nil, err
	}
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) },
		// Requests share no connection, as they would by HTTP/2: the server ends that of one whose credentials it refuses.
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 100},
		ModifyResponse: befallAnswer,
		ErrorLog:       log.New(io.Discard, "", 0),
		// A server that is gone is no gateway that says so: the connection breaks.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := g.Mend(); err != nil {
		g.port.release()
		return nil, err
	}
	return g, nil
}

// KubeconfigFor is like that of the Cluster, for a client that goes through the gate.
func (g *Gate) KubeconfigFor(user, token string) (path string, err error) {
	path, err = g.cluster.writeKubeconfig(g.URL(), "gate-"+g.port.String()+"-"+user, user, credentials{Token: token})
	if err != nil {
		return "", fmt.Errorf("kubeconfig of %s for a gate: %w", user, err)
	}
	return path, nil
}

// URL is the address of the gate.
func (g *Gate) URL() string { return "https://" + g.port.address() }

// Cut breaks all connections and refuses new ones. It does nothing when the gate is cut.
func (g *Gate) Cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		_ = g.server.Close()
		g.server = nil
	}
}

// Mend has the gate take connections again, at the same address. It does nothing when it does.
func (g *Gate) Mend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		return nil
	}
	shared := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) (err error) {
		_ = socket.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}}
	listener, err := shared.Listen(context.Background(), "tcp4", g.port.address())
	if err != nil {
		return fmt.Errorf("mend a gate: %w", err)
	}
	g.server = &http.Server{Handler: g, TLSConfig: g.tls.Clone(), ErrorLog: log.New(io.Discard, "", 0)}
	go func(s *http.Server) { _ = s.ServeTLS(listener, "", "") }(g.server)
	return nil
}

// Close ends the gate.
func (g *Gate) Close() {
	g.Cut()
	g.port.release()
}

// Make has a trouble befall the requests that it selects, from now on. Of several that select a request the one that was made
// first befalls it. The count says how many it has befallen.
func (g *Gate) Make(t Trouble) (count func() int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.Times == 0 {
		t.Times = 1
	}
	made := &trouble{Trouble: t, met: map[string]bool{}}
	g.troubles = append(g.troubles, made)
	return func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return made.befallen
	}
}

// Clear ends all troubles.
func (g *Gate) Clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.troubles = nil
}

// Passed are the requests that came through the gate, in order, each as method, path and query, such as
// "GET /api/v1/namespaces?limit=500". Those that never reached the server are not among them.
func (g *Gate) Passed() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.passed)
}

// troubleKey is the key of the *trouble in the context of a request.
type troubleKey struct{}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := g.befall(r)
	if t != nil && !t.Late {
		if t.Do != nil {
			t.Do()
		}
		if t.Code != 0 {
			for name, value := range t.header() {
				w.Header()[name] = value
			}
			w.WriteHeader(t.Code)
			_, _ = io.WriteString(w, t.text())
			return
		}
	}
	g.mu.Lock()
	g.passed = append(g.passed, r.Method+" "+r.RequestURI)
	g.mu.Unlock()
	if t != nil && t.Late {
		r = r.WithContext(context.WithValue(r.Context(), troubleKey{}, t))
	}
	g.proxy.ServeHTTP(w, r)
}

// befall is the trouble that befalls a request, or nil.
func (g *Gate) befall(r *http.Request) (befalls *trouble) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.troubles {
		if !t.selects(r) {
			continue
		}
		t.seen++
		request := r.Method + " " + r.URL.Path
		if befalls == nil && t.seen > t.Skip && (t.Times < 0 || t.befallen < t.Times) && !(t.Once && t.met[request]) {
			t.befallen++
			t.met[request] = true
			befalls = t
		}
	}
	return befalls
}

func (t Trouble) selects(r *http.Request) bool {
	writes := r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch || r.Method == http.MethodDelete
	writes = writes && !r.URL.Query().Has("dryRun")
	return (t.Method == "" || t.Method == r.Method) && strings.Contains(r.RequestURI, t.Path) && (writes || !t.Writes)
}

// befallAnswer makes trouble of what the server has done already.
func befallAnswer(answer *http.Response) error {
	t, late := answer.Request.Context().Value(troubleKey{}).(*trouble)
	if !late {
		return nil
	}
	if t.Do != nil {
		t.Do()
	}
	if t.Code != 0 {
		_ = answer.Body.Close()
		answer.StatusCode, answer.Header = t.Code, t.header()
		answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(t.text())), int64(len(t.text()))
	}
	return nil
}

func (t Trouble) header() http.Header {
	header := http.Header{"Content-Type": {"text/plain"}}
	if t.Reason != "" {
		header.Set("Content-Type", "application/json")
	}
	if t.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(t.RetryAfter))
	}
	return header
}

func (t Trouble) text() string {
	text := "the gate answers with " + http.StatusText(t.Code)
	if t.Reason == "" {
		return text
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q,"message":%q}`, t.Code, t.Reason, text)
}
