package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// load asks a LoadBalancer until it is ended: short, slow and streaming requests over
// connections that are kept. Meanwhile it samples how many replicas the proxy takes
// for available.
type load struct {
	stop    context.CancelFunc
	done    sync.WaitGroup
	mutex   sync.Mutex
	asked   map[string]int
	failed  []string
	samples int
	// least is the smallest capacity that was seen.
	least int
}

// startLoad asks the port of a LoadBalancer named front.
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
	metrics := "http://" + net.JoinHostPort(proxyAddress(t, environment), strconv.Itoa(schemas.ProxyMetricsPort)) + "/metrics"
	l.done.Go(func() { l.sample(ctx, metrics) })
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
	client := http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		trouble := ""
		response, err := client.Get(url)
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
	}
}

// sample counts the replicas that the proxy would pass a request to.
func (l *load) sample(ctx context.Context, metrics string) {
	for ctx.Err() == nil {
		if response, err := http.Get(metrics); err == nil {
			available := 0
			for lines := bufio.NewScanner(response.Body); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "windlass_proxy_available{") && strings.HasSuffix(lines.Text(), " 1") {
					available++
				}
			}
			response.Body.Close()
			l.mutex.Lock()
			l.samples++
			l.least = min(l.least, available)
			l.mutex.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
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
