package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// harmless is a configuration that listens and asks on this host alone.
func harmless(c traffic.Configuration, ports int) traffic.Configuration {
	for i := range c.Listeners {
		l := &c.Listeners[i]
		l.Address, l.Port = "127.0.0.1", ports+l.Port%8
		if l.Protocol == traffic.TCP {
			l.Port += 8 // the protocol of a port that is open does not change
		}
	}
	for _, s := range c.Services {
		for i := range s.Endpoints {
			s.Endpoints[i].Address = fmt.Sprintf("127.0.0.1:%d", 1+i)
		}
	}
	return c
}

// running is what a proxy does, but for what it has seen.
func running(t *testing.T, p *Proxy) string {
	t.Helper()
	s := p.Status()
	for n := range s.Services {
		service := &s.Services[n]
		// Those that have left may still be there.
		service.Endpoints = slices.DeleteFunc(service.Endpoints, func(e EndpointStatus) bool { return e.State == StateDraining })
		for i := range service.Endpoints {
			e := &service.Endpoints[i]
			e.State, e.Trouble, e.InFlight = "", "", 0 // which checks change
		}
	}
	for i := range s.Listeners {
		s.Listeners[i].Connections = 0
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	return string(text)
}

// A configuration is applied whole or not at all, whatever it says and whatever ran before;
// applied twice it is the same.
func FuzzApply(f *testing.F) {
	f.Add(`{"version": 2, "listeners": [{"name": "a", "port": 1, "service": "s"}], "services": [{"name": "s", "endpoints": [{"id": "x", "address": "a:1"}]}]}`)
	f.Add(`{"version": 3, "listeners": [{"name": "a", "port": 1, "protocol": "TCP", "service": "s"}, {"name": "b", "port": 2, "service": "r", "routes": [{"service": "s", "subset": "c", "header": {"name": "A", "value": "b"}}]}],
		"services": [{"name": "s", "endpoints": [{"id": "x", "address": "a:1", "subset": "c"}, {"id": "y", "address": "a:2", "draining": true}], "subsets": [{"name": "c", "weight": 0}],
		"policy": {"loadBalancer": "Weighted", "retry": {}, "circuitBreaker": {}, "outlierDetection": {}, "healthCheck": {"interval": "1ms"}, "limits": {"maxConnections": 1}, "slowStart": "1s", "panicThreshold": 0.5}},
		{"name": "r", "endpoints": [], "mirror": {"service": "s", "share": 0.5}, "http2": true}]}`)
	f.Add(`{"version": 4, "listeners": [{"name": "a", "port": 1, "service": "s", "tls": {"certificateFile": "nothing", "keyFile": "nothing"}}], "services": [{"name": "s", "endpoints": []}]}`)
	f.Add(`{"version": 1, "listeners": [], "services": [{"name": "s", "endpoints": [], "tls": {"caFile": "nothing"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := traffic.ParseConfiguration([]byte(text))
		if err != nil {
			return
		}
		p := New(Options{})
		defer func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = p.Shutdown(ctx)
		}()
		ports := freePorts(t, 16)
		before := harmless(traffic.Configuration{Version: 1, Listeners: []traffic.Listener{{Name: "first", Port: 1, Service: "s"}, {Name: "other", Port: 3, Service: "s"}},
			Services: []traffic.Service{{Name: "s", Endpoints: []traffic.Endpoint{{ID: "x"}, {ID: "z"}}}}}, ports)
		require.NoError(t, p.Apply(t.Context(), before))
		former := running(t, p)
		c = harmless(c, ports)
		if err := p.Apply(t.Context(), c); err != nil {
			require.Equal(t, former, running(t, p), "something of what was refused is done: %v", err)
			return
		}
		require.Equal(t, c.Version, p.Status().Version)
		require.Len(t, p.Status().Listeners, len(c.Listeners))
		require.Len(t, p.Status().Services, len(c.Services))
		now := running(t, p)
		require.NoError(t, p.Apply(t.Context(), c), "once more")
		require.Equal(t, now, running(t, p))
		if c.Version > 1 {
			require.ErrorIs(t, p.Apply(t.Context(), before), ErrOlder)
			require.Equal(t, now, running(t, p))
		}
	})
}
