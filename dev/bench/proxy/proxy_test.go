// Package proxy measures windlass-proxy against a bare httputil.ReverseProxy, HAProxy
// and nginx on the same machine, in turns.
package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/engine/host"
	"windlass/dev/images"
	"windlass/proxy/admin"
	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

const (
	// rounds are turns of all contestants; the order rotates.
	rounds = 5
	// turn is how long one is under load, at connections kept-alive connections.
	turn        = 3 * time.Second
	connections = 64
	// patience bounds the start of a contestant.
	patience = 20 * time.Second
)

// sizes are those of the bodies, in bytes.
var sizes = map[string]int{"1KiB": 1 << 10, "100KiB": 100 << 10}

// lab is the backends and the contestants, each a process of its own.
type lab struct {
	*testing.B
	folder   string
	backends [2]string
}

func BenchmarkProxies(b *testing.B) {
	l := newLab(b)
	contestants := []struct{ name, address string }{
		{"windlass-proxy", l.windlass()}, {"ReverseProxy", l.bare()}, {"HAProxy", l.haproxy()}, {"nginx", l.nginx()},
	}
	for size := range sizes {
		rates, tails := map[string][]float64{}, map[string][]float64{}
		for round := range rounds {
			for i := range contestants {
				c := contestants[(i+round)%len(contestants)]
				rate, tail := l.load(c.address, size)
				rates[c.name], tails[c.name] = append(rates[c.name], rate), append(tails[c.name], tail)
			}
		}
		for _, c := range contestants {
			b.Logf("%-7s %-15s %8.0f requests/s  p99 %.2f ms", size, c.name, median(rates[c.name]), median(tails[c.name]))
			b.ReportMetric(paired(rates[contestants[0].name], rates[c.name]), "rate/"+c.name+"/"+size)
			b.ReportMetric(paired(tails[contestants[0].name], tails[c.name]), "p99/"+c.name+"/"+size)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func newLab(b *testing.B) *lab {
	b.Helper()
	for _, program := range []string{"haproxy", "nginx", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			require.NoError(b, host.InstallPackages(b.Context(), "haproxy", "nginx-light", "wrk"))
			break
		}
	}
	// Those of tests are closed to the user that nginx serves as.
	folder, err := os.MkdirTemp("", "windlass-bench-")
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(folder) })
	l := &lab{B: b, folder: folder}
	for name, size := range sizes {
		require.NoError(b, os.WriteFile(filepath.Join(l.folder, name), bytes.Repeat([]byte("x"), size), 0o644))
	}
	require.NoError(b, os.Chmod(l.folder, 0o755))
	for i := range l.backends {
		l.backends[i] = l.free()
	}
	l.nginxOf("backends", fmt.Sprintf("server { listen %s; listen %s; root %s; keepalive_requests 1000000; }", l.backends[0], l.backends[1], l.folder))
	l.await(l.backends[0])
	return l
}

func (l *lab) free() string {
	l.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(l, err)
	defer listener.Close()
	return listener.Addr().String()
}

// start starts a process that ends with the benchmark.
func (l *lab) start(program string, arguments ...string) {
	l.Helper()
	command := exec.Command(program, arguments...)
	command.Stderr = os.Stderr
	require.NoError(l, command.Start())
	l.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
}

func (l *lab) await(address string) {
	l.Helper()
	require.Eventually(l, func() bool {
		response, err := http.Get("http://" + address + "/1KiB")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond, "%s answers", address)
}

func (l *lab) build(name, path string) string {
	l.Helper()
	binary := filepath.Join(l.folder, name)
	output, err := exec.Command("go", "build", "-o", binary, path).CombinedOutput()
	require.NoError(l, err, "%s", output)
	return binary
}

func (l *lab) bare() string {
	l.Helper()
	address := l.free()
	l.start(l.build("bare", "windlass/dev/bench/proxy/bare"), address, l.backends[0], l.backends[1])
	l.await(address)
	return address
}

// windlass is the proxy with health checks, breaker, retries and metrics on.
func (l *lab) windlass() string {
	l.Helper()
	binary, err := images.ProxyBinary(l.Context())
	require.NoError(l, err)
	address, socket := l.free(), filepath.Join(l.folder, "admin.sock")
	l.start(binary, "run", "--state", filepath.Join(l.folder, "state"), "--socket", socket, "--metrics", l.free(), "--drain-timeout", "1s")
	_, port, err := net.SplitHostPort(address)
	require.NoError(l, err)
	number, err := strconv.Atoi(port)
	require.NoError(l, err)
	interval := quantity.Duration(time.Second)
	text, err := json.Marshal(traffic.Configuration{
		Version:   1,
		Listeners: []traffic.Listener{{Name: "web", Address: "127.0.0.1", Port: number, Service: "web"}},
		Services: []traffic.Service{{
			Name: "web", Endpoints: []traffic.Endpoint{{ID: "a", Address: l.backends[0]}, {ID: "b", Address: l.backends[1]}},
			Policy: traffic.Policy{
				HealthCheck: &traffic.HealthCheck{Path: "/1KiB", Interval: &interval}, OutlierDetection: &traffic.OutlierDetection{},
				CircuitBreaker: &traffic.CircuitBreaker{FailureThreshold: 0.5}, Retry: &traffic.Retry{},
			},
		}},
	})
	require.NoError(l, err)
	client := admin.NewClient(socket)
	require.Eventually(l, func() bool { return client.Apply(context.Background(), text) == nil }, patience, 20*time.Millisecond, "it takes its configuration")
	l.await(address)
	return address
}

func (l *lab) haproxy() string {
	l.Helper()
	address, file := l.free(), filepath.Join(l.folder, "haproxy.cfg")
	require.NoError(l, os.WriteFile(file, fmt.Appendf(nil, `
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend web
  bind %s
  default_backend web
backend web
  balance roundrobin
  option httpchk GET /1KiB
  server a %s check
  server b %s check
`, address, l.backends[0], l.backends[1]), 0o600))
	l.start("haproxy", "-db", "-f", file)
	l.await(address)
	return address
}

func (l *lab) nginx() string {
	l.Helper()
	address := l.free()
	l.nginxOf("proxy", fmt.Sprintf(`upstream web { server %s; server %s; keepalive 256; keepalive_requests 1000000; }
  server { listen %s; keepalive_requests 1000000; location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; } }`, l.backends[0], l.backends[1], address))
	l.await(address)
	return address
}

func (l *lab) nginxOf(name, servers string) {
	l.Helper()
	file := filepath.Join(l.folder, name+".conf")
	require.NoError(l, os.WriteFile(file, fmt.Appendf(nil, "daemon off;\nworker_processes 2;\npid %s/%s.pid;\nerror_log stderr error;\nevents { worker_connections 4096; }\nhttp { access_log off; sendfile on; %s }\n", l.folder, name, servers), 0o600))
	l.start("nginx", "-p", l.folder, "-c", file)
}

var (
	ratePattern = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	tailPattern = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s)`)
)

// load returns requests per second and the 99th percentile of latency in ms.
func (l *lab) load(address, path string) (rate, tail float64) {
	l.Helper()
	output, err := exec.Command("wrk", "--latency", "-t", "2", "-c", strconv.Itoa(connections), "-d", turn.String(), "http://"+address+"/"+path).CombinedOutput()
	text := string(output)
	require.NoError(l, err, text)
	require.NotContains(l, text, "Non-2xx", text)
	require.NotContains(l, text, "Socket errors", text)
	rates, tails := ratePattern.FindStringSubmatch(text), tailPattern.FindStringSubmatch(text)
	require.NotEmpty(l, rates, text)
	require.NotEmpty(l, tails, text)
	rate, err = strconv.ParseFloat(rates[1], 64)
	require.NoError(l, err)
	tail, err = strconv.ParseFloat(tails[1], 64)
	require.NoError(l, err)
	return rate, tail * map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[strings.TrimSpace(tails[2])]
}

// paired is the median of the ratios of each round.
func paired(of, to []float64) float64 {
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = of[i] / to[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
