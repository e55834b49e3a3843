package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/proxy/admin"
	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

func (l *lab) bare() string {
	l.Helper()
	address := l.free()
	l.start(l.build("bare", "windlass/dev/bench/proxy/bare"), address, l.backends[0], l.backends[1])
	l.await(address)
	return address
}

// windlass is the proxy with health checks, breaker, retries and metrics on. With the
// function, its second endpoint is taken out and in.
func (l *lab) windlass() (proxyAddress string, drain func(bool)) {
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
	configuration := traffic.Configuration{
		Listeners: []traffic.Listener{{Name: "web", Address: "127.0.0.1", Port: number, Service: "web"}},
		Services: []traffic.Service{{
			Name: "web", Endpoints: []traffic.Endpoint{{ID: "a", Address: l.backends[0]}, {ID: "b", Address: l.backends[1]}},
			Policy: traffic.Policy{
				HealthCheck: &traffic.HealthCheck{Path: "/1KiB", Interval: &interval}, OutlierDetection: &traffic.OutlierDetection{},
				CircuitBreaker: &traffic.CircuitBreaker{FailureThreshold: 0.5}, Retry: &traffic.Retry{},
			},
		}},
	}
	client := admin.NewClient(socket)
	drain = func(draining bool) {
		configuration.Version++
		configuration.Services[0].Endpoints[1].Draining = draining
		text, err := json.Marshal(configuration)
		require.NoError(l, err)
		require.Eventually(l, func() bool { return client.Apply(context.Background(), text) == nil }, patience, 20*time.Millisecond, "it takes its configuration")
	}
	drain(false)
	l.await(address)
	return address, drain
}

// caddy is built from a module of its own, with its active health checks on.
func (l *lab) caddy() string {
	l.Helper()
	binary := filepath.Join(l.folder, "caddy")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "caddy"
	l.Log("building Caddy; the first time takes some minutes")
	output, err := build.CombinedOutput()
	require.NoError(l, err, "%s", output)
	address, file := l.free(), filepath.Join(l.folder, "Caddyfile")
	require.NoError(l, os.WriteFile(file, fmt.Appendf(nil, `{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}
http://%s {
	reverse_proxy %s %s {
		lb_policy round_robin
		health_uri /1KiB
		health_interval 1s
	}
}
`, address, l.backends[0], l.backends[1]), 0o600))
	l.start(binary, "run", "--config", file, "--adapter", "caddyfile")
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
