// Package proxy measures windlass-proxy against a bare httputil.ReverseProxy, HAProxy,
// nginx and Caddy on the same machine, in turns.
package proxy

import (
	"bytes"
	"context"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/engine/host"
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
	windlass, _ := l.windlass()
	contestants := []struct{ name, address string }{
		{"windlass-proxy", windlass}, {"ReverseProxy", l.bare()}, {"HAProxy", l.haproxy()}, {"nginx", l.nginx()}, {"Caddy", l.caddy()},
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

// BenchmarkHalfTheCapacity compares the latencies of windlass-proxy and HAProxy at a rate
// that is half of what windlass-proxy can do.
func BenchmarkHalfTheCapacity(b *testing.B) {
	l := newLab(b)
	windlass, _ := l.windlass()
	haproxy := l.haproxy()
	for size := range sizes {
		capacity, _ := l.load(windlass, size)
		var ours, theirs []float64
		for range rounds {
			ours, theirs = append(ours, l.paced(windlass, size, capacity/2)), append(theirs, l.paced(haproxy, size, capacity/2))
		}
		b.Logf("%-7s at %.0f requests/s: p99 %.2f ms, HAProxy %.2f ms", size, capacity/2, median(ours), median(theirs))
		b.ReportMetric(paired(ours, theirs), "p99/HAProxy/"+size)
	}
	b.ReportMetric(0, "ns/op")
}

// changeInterval lies between two changes of the endpoints.
const changeInterval = 200 * time.Millisecond

// BenchmarkEndpointChanges compares the latency under full load while an endpoint is
// taken out and in again with that while nothing changes.
func BenchmarkEndpointChanges(b *testing.B) {
	l := newLab(b)
	address, drain := l.windlass()
	var changing, steady []float64
	for range rounds {
		_, tail := l.load(address, "1KiB")
		steady = append(steady, tail)
		ctx, stop := context.WithCancel(b.Context())
		var changes sync.WaitGroup
		changes.Go(func() {
			for out := true; ctx.Err() == nil; out = !out {
				drain(out)
				select {
				case <-ctx.Done():
				case <-time.After(changeInterval):
				}
			}
		})
		_, tail = l.load(address, "1KiB")
		stop()
		changes.Wait()
		drain(false)
		changing = append(changing, tail)
	}
	b.Logf("p99 %.2f ms while an endpoint is taken out and in, %.2f ms while nothing changes", median(changing), median(steady))
	b.ReportMetric(paired(changing, steady), "p99/steady")
	b.ReportMetric(0, "ns/op")
}

func newLab(b *testing.B) *lab {
	b.Helper()
	for _, program := range []string{"haproxy", "nginx", "wrk", "hey"} {
		if _, err := exec.LookPath(program); err != nil {
			require.NoError(b, host.InstallPackages(b.Context(), "haproxy", "nginx-light", "wrk", "hey"))
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

var pacedPattern = regexp.MustCompile(`99% in ([\d.]+) secs`)

// paced returns the 99th percentile of latency in ms at so many requests per second.
func (l *lab) paced(address, path string, rate float64) float64 {
	l.Helper()
	output, err := exec.Command("hey", "-c", strconv.Itoa(connections), "-q", fmt.Sprintf("%.1f", rate/connections), "-z", turn.String(), "http://"+address+"/"+path).CombinedOutput()
	text := string(output)
	require.NoError(l, err, text)
	require.NotContains(l, text, "Error distribution", text)
	tails := pacedPattern.FindStringSubmatch(text)
	require.NotEmpty(l, tails, text)
	tail, err := strconv.ParseFloat(tails[1], 64)
	require.NoError(l, err)
	return tail * 1000
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
