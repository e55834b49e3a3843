package proxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = time.Minute

// scene is a proxy in front of servers.
type scene struct {
	*testing.T
	proxy   *Proxy
	version uint64
	address string
}

func newScene(t *testing.T, o Options) *scene {
	t.Helper()
	s := &scene{T: t, proxy: New(o), address: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1))}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.proxy.Shutdown(ctx)
	})
	return s
}

// freePorts returns the first of so many ports in a row that nobody has; none of those
// that connections take by themselves.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, free := 10000+rand.IntN(20000), 0
		for ; free < n; free++ {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+free))
			if err != nil {
				break
			}
			require.NoError(t, listener.Close())
		}
		if free == n {
			return first
		}
	}
	require.Fail(t, "no ports are free")
	return 0
}

// served passes everything to these addresses under a policy.
func (s *scene) served(policy traffic.Policy, addresses ...string) traffic.Configuration {
	s.Helper()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(s, err)
	c := traffic.Configuration{
		Listeners: []traffic.Listener{{Name: "web", Address: "127.0.0.1", Service: "web"}},
		Services:  []traffic.Service{{Name: "web", Policy: policy, Endpoints: []traffic.Endpoint{}}},
	}
	_, err = fmt.Sscan(port, &c.Listeners[0].Port)
	require.NoError(s, err)
	for i, address := range addresses {
		c.Services[0].Endpoints = append(c.Services[0].Endpoints, traffic.Endpoint{ID: fmt.Sprintf("e%d", i), Address: address})
	}
	return c
}

func (s *scene) apply(c traffic.Configuration) {
	s.Helper()
	s.version++
	c.Version = s.version
	require.NoError(s, s.proxy.Apply(s.Context(), c))
}

func (s *scene) url(path string) string { return "http://" + s.address + path }

// backend is a server that answers with its name.
func backend(t *testing.T, name string, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Backend", name)
		if handle != nil {
			handle(w, r)
			return
		}
		fmt.Fprint(w, name)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// answer is what came back.
type answer struct {
	status int
	text   string
	header http.Header
}

func (s *scene) get(path string) answer {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url(path), nil)
	require.NoError(s, err)
	return s.do(request)
}

func (s *scene) post(text string, header ...string) answer {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.url("/"), strings.NewReader(text))
	require.NoError(s, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return s.do(request)
}

func (s *scene) do(request *http.Request) answer {
	s.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	require.NoError(s, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(s, err)
	return answer{response.StatusCode, strings.TrimSpace(string(text)), response.Header}
}

func (s *scene) endpoint(id string) EndpointStatus {
	s.Helper()
	for _, e := range s.proxy.Status().Services[0].Endpoints {
		if e.ID == id {
			return e
		}
	}
	require.Failf(s, "no such endpoint", id)
	return EndpointStatus{}
}

func (s *scene) eventually(condition func() bool, what string) {
	s.Helper()
	require.Eventually(s, condition, patience, 2*time.Millisecond, what)
}

func period(d time.Duration) *quantity.Duration {
	q := quantity.Duration(d)
	return &q
}

func number(n int) *int { return &n }

func share(f float64) *float64 { return &f }

// nobody is an address where connections are refused.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
