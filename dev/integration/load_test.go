package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// load asks a LoadBalancer until it is ended: short, slow and streaming requests over
// connections that are kept, none of which a client repeats by itself. Meanwhile it samples
// how many replicas serve.
type load struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	mutex  sync.Mutex
	asked  map[string]int
	failed []string
	// reset are the connections that broke.
	reset   []string
	samples int
	// least is the smallest capacity that was seen.
	least int
}

// startLoad asks the port of a LoadBalancer named front, of a Compute named web.
func startLoad(t *testing.T, environment string, port int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, asked: map[string]int{}, least: 1 << 30}
	t.Cleanup(func() {
		stop()
		l.done.Wait()
	})
	for path, callers := range map[string]int{"/who": 4, "/slow?d=2s": 3, "/stream?n=10&every=100ms": 3} {
		for range callers {
			l.done.Go(func() { l.ask(ctx, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), path) })
		}
	}
	v := &viewer{
		// What is asked ten times a second over the loopback is cheaper as it is.
		engine: newEngine(t), client: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}}, addresses: map[string]string{},
		metrics: "http://" + net.JoinHostPort(proxyAddress(t, environment), strconv.Itoa(schemas.ProxyMetricsPort)) + "/metrics",
	}
	l.done.Go(func() { l.sample(ctx, v) })
	return l
}

// proxyAddress is the address of the proxy of the LoadBalancer front.
func proxyAddress(t *testing.T, environment string) string {
	t.Helper()
	for _, c := range containersOf(t, environment, "front") {
		for _, n := range c.NetworkSettings.Networks {
			return n.IPAddress.String()
		}
	}
	require.FailNow(t, "the proxy has no address")
	return ""
}

func (l *load) ask(ctx context.Context, url, kind string) {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{connection, l}, nil
	}
	caller := http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: patience}
	defer caller.CloseIdleConnections()
	for ctx.Err() == nil {
		trouble := ""
		// A client repeats what it can when a connection that it kept turns out to be closed.
		// This it cannot: the method is not idempotent, and the body is gone once it is read.
		response, err := caller.Post(url, "text/plain", io.MultiReader(strings.NewReader("once")))
		if err != nil {
			trouble = err.Error()
		} else {
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK {
				trouble = fmt.Sprintf("%d %v %.80s", response.StatusCode, err, text)
			}
		}
		l.mutex.Lock()
		l.asked[kind]++
		if trouble != "" {
			l.failed = append(l.failed, time.Now().Format("15:04:05.000 ")+kind+": "+trouble)
		}
		l.mutex.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(callerPause): // it is the rollout that is tested, and not how much the machine can do
		}
	}
}

// callerPause lies between two requests of a caller.
const callerPause = 50 * time.Millisecond

// watched is a connection that tells when it breaks.
type watched struct {
	net.Conn
	load *load
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.note(err)
	return n, err
}

func (w *watched) note(err error) {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		w.load.mutex.Lock()
		defer w.load.mutex.Unlock()
		w.load.reset = append(w.load.reset, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// sample counts the replicas that serve, again and again.
func (l *load) sample(ctx context.Context, v *viewer) {
	defer v.client.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		// The proxy's word costs little; each replica is asked a few times a second.
		look := v.counted
		if n%3 == 0 {
			look = v.serving
		}
		if serving, err := look(ctx); err == nil && ctx.Err() == nil { // a look that was broken off has seen less than there is
			l.mutex.Lock()
			l.samples++
			l.least = min(l.least, serving)
			l.mutex.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// viewer knows which replicas serve: those that the proxy would pass a request to and that
// answer when they are asked directly.
type viewer struct {
	engine  *client.Client
	client  http.Client
	metrics string
	// addresses are those of the replicas that were met, by name.
	addresses map[string]string
}

// counted is how many replicas the proxy would pass a request to.
func (v *viewer) counted(context.Context) (int, error) {
	passed, err := v.passed()
	return len(passed), err
}

// serving is how many of them answer.
func (v *viewer) serving(ctx context.Context) (int, error) {
	passed, err := v.passed()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, name := range passed {
		if v.answers(ctx, name) {
			n++
		}
	}
	after, err := v.passed()
	if err != nil || slices.Equal(passed, after) {
		return n, err
	}
	return len(passed), nil // some may have left in between
}

// passed are the names of the replicas that the proxy would pass a request to.
func (v *viewer) passed() ([]string, error) {
	response, err := v.client.Get(v.metrics)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var names []string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if named, ok := strings.CutPrefix(lines.Text(), `windlass_proxy_available{endpoint="`); ok && strings.HasSuffix(named, "} 1") {
			name, _, _ := strings.Cut(named, `"`)
			names = append(names, name)
		}
	}
	return names, nil
}

// answers says whether a replica does, well or not.
func (v *viewer) answers(ctx context.Context, name string) bool {
	for range 2 { // another one may have the name by now
		if v.addresses[name] == "" {
			found, err := v.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
			if err != nil {
				return false
			}
			for _, n := range found.Container.NetworkSettings.Networks {
				v.addresses[name] = n.IPAddress.String()
			}
		}
		if response, err := v.client.Get("http://" + v.addresses[name] + ":8080/healthz"); err == nil {
			response.Body.Close()
			return true
		}
		delete(v.addresses, name)
	}
	return false
}

// end stops the load and returns what failed and the smallest capacity.
func (l *load) end(t *testing.T) (failed []string, least int) {
	t.Helper()
	l.stop()
	l.done.Wait()
	for kind, n := range l.asked {
		require.Positive(t, n, kind)
	}
	require.Positive(t, l.samples, "the capacity was never seen")
	t.Logf("requests: %v; %d samples of the capacity, at least %d replicas", l.asked, l.samples, l.least)
	require.Empty(t, l.reset, "connections broke")
	return l.failed, l.least
}

// freePort is a port that nobody listens on, and below those of outgoing connections,
// which could take it before the engine does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(10_000)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	require.FailNow(t, "no port is free")
	return 0
}
