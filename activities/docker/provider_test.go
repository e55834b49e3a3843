package docker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func TestVersionNamesTheEngine(t *testing.T) {
	t.Parallel()
	version, err := newProvider(t, "").Version(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^(Docker Engine|Podman) \d+\.\d+`, version)
}

func TestAProviderNeedsANameAndAnAddressThatCanBeRead(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "name")
	_, err = New(Config{Name: "docker", Host: "nowhere"})
	require.ErrorContains(t, err, "nowhere")
}

// TestAnEngineThatDoesNotServeIsUnavailable pins what is worth a retry: everything
// that another moment may mend.
func TestAnEngineThatDoesNotServeIsUnavailable(t *testing.T) {
	t.Parallel()
	serve := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return "tcp://" + strings.TrimPrefix(server.URL, "http://")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	cases := map[string]string{
		"no socket":            "unix://" + filepath.Join(t.TempDir(), "none.sock"),
		"a refused connection": "tcp://" + strings.TrimPrefix(gone.URL, "http://"),
		"an answer that breaks off": serve(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}),
		"an answer that ends early": serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			_, _ = w.Write([]byte(`[{"Id":`))
		}),
		"an engine that goes down": serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"shutting down"}`, http.StatusInternalServerError)
		}),
		"a proxy without an engine": serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad gateway", http.StatusBadGateway)
		}),
	}
	for name, host := range cases {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, host)
			l := &lab{T: t, provider: p, scope: schemas.Scope{Environment: "test", Infrastructure: "down"}, secrets: activities.NewSecretsNone(), spoken: &transcript{}}
			_, err := p.Version(t.Context())
			requireFault(t, err, activities.Unavailable)
			_, err = p.Observe(t.Context(), l.scope)
			requireFault(t, err, activities.Unavailable)
			for _, d := range []plan.Desired{
				l.declare("net", schemas.TypeNetwork, schemas.Network{}),
				l.declare("data", schemas.TypeStorage, schemas.Storage{}),
				l.compute("web", schemas.Compute{}),
			} {
				require.NotEmpty(t, l.fault(d, activities.Unavailable).Hint)
				requireFault(t, l.delete(d.Target), activities.Unavailable)
			}
			err = p.Pull(t.Context(), activities.Image{Reference: "app:1", Policy: schemas.PullAlways}, l.secrets, l.spoken.say)
			requireFault(t, err, activities.Unavailable)
		})
	}
}

func TestACancelledApplyReturnsSoonAndLeavesNothingBehindADelete(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	health := patientHTTP()
	d := l.compute("web", schemas.Compute{Replicas: number(3), Args: []string{"-never-healthy"}, Health: health})
	// Cancelled at a first word, in the middle of the creation, and while it waits.
	for _, word := range []string{"creating", "starting", "waiting for replica"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := l.provider.Apply(ctx, d, l.secrets, func(message string) {
			if strings.Contains(message, word) {
				cancel()
			}
		})
		cancel()
		require.ErrorIs(t, err, context.Canceled, word)
		require.False(t, activities.IsKind(err, activities.Unavailable), "a cancellation is nobody's fault")
		require.NoError(t, l.delete(d.Target))
		require.Empty(t, l.names(), word)
	}
}

func TestTheBoundOnStartsIsKept(t *testing.T) {
	t.Parallel()
	p, err := New(Config{Name: "docker", Parallelism: 2})
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	say := func(string) {}
	first, err := p.slot(t.Context(), "a", say)
	require.NoError(t, err)
	second, err := p.slot(t.Context(), "b", say)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = p.slot(ctx, "c", func(string) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	first()
	third, err := p.slot(t.Context(), "c", say)
	require.NoError(t, err)
	second()
	third()
}
