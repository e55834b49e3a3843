package docker

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
)

// What another worker has changed in the meantime is neither undone nor taken for what it was.
func TestWorkersThatRememberWhatAProxyDoesLoseNoChangeOfEachOther(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	web := l.web("a", 3)
	l.applied(web)
	l.applied(l.edge(nil))
	names := []string{containerName(web, 0), containerName(web, 1), containerName(web, 2)}
	route := func(p *Provider, joins, leaves string) {
		t.Helper()
		routing := activities.Routing{}
		if joins != "" {
			routing.Join = []string{joins}
		}
		if leaves != "" {
			routing.Leave = []string{leaves}
		}
		require.NoError(t, p.Route(t.Context(), web, routing, l.spoken.say))
	}
	requireServing := func(served ...string) {
		t.Helper()
		var found []string
		for _, e := range l.configuration().Services[0].Endpoints {
			if !e.Draining {
				found = append(found, e.ID)
			}
		}
		require.Equal(t, served, found)
	}
	one, other := newProvider(t, ""), newProvider(t, "")
	route(one, "", names[0])
	route(other, "", names[1])
	route(one, "", names[2]) // knows nothing of what the other did
	requireServing()
	route(other, names[0], "") // nor this one
	route(one, names[1], "")
	requireServing(names[0], names[1])
	route(other, "", names[0])
	route(one, names[0], "") // which it remembers to be so
	requireServing(names[0], names[1])

	// A replica that another worker took out is waited for.
	route(one, "", names[1])
	caller := l.caller()
	defer caller.CloseIdleConnections()
	response, err := caller.Get(caller.address + "/stream?n=20&every=100ms")
	require.NoError(t, err)
	defer response.Body.Close()
	route(other, names[1], names[0])
	require.NoError(t, one.DrainReplica(t.Context(), web.Target, names[0], l.spoken.say))
	require.NoError(t, one.RemoveReplica(t.Context(), web.Target, names[0], l.spoken.say))
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 20, strings.Count(string(text), "\n"))
}

// The engine takes as long to read a configuration as to give one.
func TestAWorkerReadsWhatAProxyDoesOnce(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	web := l.web("a", 2)
	l.applied(web)
	l.applied(l.edge(nil))
	var reads atomic.Int64
	counting := newProvider(t, inFrontOf(t, l.engine, func(forward http.Handler, _ http.RoundTripper) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/archive") {
				reads.Add(1)
			}
			forward.ServeHTTP(w, r)
		}
	}))
	for _, name := range []string{containerName(web, 0), containerName(web, 1)} {
		require.NoError(t, counting.Route(t.Context(), web, activities.Routing{Leave: []string{name}}, l.spoken.say))
		require.NoError(t, counting.DrainReplica(t.Context(), web.Target, name, l.spoken.say))
		require.NoError(t, counting.Route(t.Context(), web, activities.Routing{Join: []string{name}}, l.spoken.say))
	}
	require.Equal(t, int64(1), reads.Load())
}
