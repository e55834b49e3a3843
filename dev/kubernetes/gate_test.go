package kubernetes_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
)

// visitor makes requests through a gate as the administrator.
type visitor struct {
	*testing.T
	gate *kubernetes.Gate
	http *http.Client
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(shared.Cluster(t).CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{T: t, gate: shared.Gate(t), http: &http.Client{Transport: transport}}
}

func (v *visitor) ask(ctx context.Context, method, path, body string) (*http.Response, error) {
	v.Helper()
	request, err := http.NewRequestWithContext(ctx, method, v.gate.URL()+path, strings.NewReader(body))
	require.NoError(v, err)
	request.Header.Set("Authorization", "Bearer "+shared.Cluster(v.T).Token(kubernetes.Administrator))
	request.Header.Set("Content-Type", "application/json")
	return v.http.Do(request)
}

// code is the status code of an answer that is read to its end.
func (v *visitor) code(method, path, body string) int {
	v.Helper()
	answer, err := v.ask(v.Context(), method, path, body)
	require.NoError(v, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(v, err)
	require.NoError(v, answer.Body.Close())
	return answer.StatusCode
}

func TestAGateLetsEverythingPassAndTellsWhat(t *testing.T) {
	t.Parallel()
	v := newVisitor(t)
	maps := "/api/v1/namespaces/" + shared.Namespace(t) + "/configmaps"
	require.Equal(t, http.StatusCreated, v.code(http.MethodPost, maps, `{"metadata": {"name": "a"}}`))
	require.Equal(t, http.StatusOK, v.code(http.MethodGet, maps+"?limit=1", ""))
	require.Equal(t, []string{"POST " + maps, "GET " + maps + "?limit=1"}, v.gate.Passed())

	kubeconfig, err := v.gate.KubeconfigFor("nobody", "wrong")
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, listNamespaces(t, kubeconfig))
	require.Len(t, v.gate.Passed(), 3)
}

func TestAGateThatIsCutBreaksWatchesAndRefuses(t *testing.T) {
	t.Parallel()
	v := newVisitor(t)
	maps := "/api/v1/namespaces/" + shared.Namespace(t) + "/configmaps"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := v.ask(ctx, http.MethodGet, maps+"?watch=1&fieldSelector=metadata.name%3Da", "")
	require.NoError(t, err)
	defer watch.Body.Close()
	events := bufio.NewReader(watch.Body)
	for range 2 { // each change is told at once, while the answer goes on
		require.Equal(t, http.StatusCreated, v.code(http.MethodPost, maps, `{"metadata": {"name": "a"}}`))
		event, err := events.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, event, `"ADDED"`)
		require.Equal(t, http.StatusOK, v.code(http.MethodDelete, maps+"/a", ""))
		event, err = events.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, event, `"DELETED"`)
	}

	v.gate.Cut()
	_, err = events.ReadString('\n')
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the gate broke it and not the deadline")
	_, err = net.Dial("tcp", strings.TrimPrefix(v.gate.URL(), "https://"))
	require.Error(t, err)
	v.gate.Cut()

	require.NoError(t, v.gate.Mend())
	require.NoError(t, v.gate.Mend())
	require.Equal(t, http.StatusOK, v.code(http.MethodGet, maps, ""))
}

func TestTroubleBefallsTheRequestsThatItSelects(t *testing.T) {
	t.Parallel()
	v := newVisitor(t)
	namespace := shared.Namespace(t)
	maps := "/api/v1/namespaces/" + namespace + "/configmaps"
	post := func(name string) int {
		return v.code(http.MethodPost, maps, `{"metadata": {"name": "`+name+`"}}`)
	}
	there := func(name string) bool { return v.code(http.MethodGet, maps+"/"+name, "") == http.StatusOK }

	t.Run("a number of times, with Retry-After", func(t *testing.T) {
		count := v.gate.Make(kubernetes.Trouble{Method: http.MethodGet, Path: "/configmaps/", Times: 2, Code: http.StatusTooManyRequests, RetryAfter: 7})
		answer, err := v.ask(t.Context(), http.MethodGet, maps+"/kube-root-ca.crt", "")
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
		require.Equal(t, "7", answer.Header.Get("Retry-After"))
		require.Equal(t, http.StatusOK, v.code(http.MethodGet, maps, ""), "another path")
		require.Equal(t, http.StatusTooManyRequests, v.code(http.MethodGet, maps+"/kube-root-ca.crt", ""))
		require.Equal(t, http.StatusOK, v.code(http.MethodGet, maps+"/kube-root-ca.crt", ""))
		require.Equal(t, 2, count())
	})

	t.Run("before the server sees them", func(t *testing.T) {
		count := v.gate.Make(kubernetes.Trouble{Writes: true, Skip: 1, Code: http.StatusInternalServerError})
		require.Equal(t, http.StatusCreated, v.code(http.MethodPost, maps+"?dryRun=All", `{"metadata": {"name": "first"}}`))
		require.Equal(t, http.StatusCreated, post("first"))
		require.True(t, there("first"))
		require.Equal(t, http.StatusInternalServerError, post("second"))
		require.False(t, there("second"))
		require.Equal(t, http.StatusCreated, post("second"))
		require.Equal(t, 1, count())
	})

	t.Run("after the server has done them", func(t *testing.T) {
		done := false
		v.gate.Make(kubernetes.Trouble{Writes: true, Late: true, Code: http.StatusInternalServerError, Do: func() {
			// This goes to the server by another way.
			request(t, http.MethodGet, maps+"/third", nil, nil)
			done = true
		}})
		require.Equal(t, http.StatusInternalServerError, post("third"))
		require.True(t, done)
		require.True(t, there("third"))
	})

	t.Run("each once", func(t *testing.T) {
		count := v.gate.Make(kubernetes.Trouble{Path: maps + "/", Times: -1, Once: true, Code: http.StatusInternalServerError})
		require.Equal(t, http.StatusInternalServerError, v.code(http.MethodGet, maps+"/first", ""))
		require.Equal(t, http.StatusInternalServerError, v.code(http.MethodDelete, maps+"/first", ""))
		require.Equal(t, http.StatusInternalServerError, v.code(http.MethodGet, maps+"/second?pretty=1", ""))
		require.True(t, there("first"))
		require.True(t, there("second"))
		require.Equal(t, 3, count())
		v.gate.Clear()
	})

	t.Run("until it is cleared", func(t *testing.T) {
		count := v.gate.Make(kubernetes.Trouble{Times: -1, Code: http.StatusServiceUnavailable})
		for range 3 {
			require.Equal(t, http.StatusServiceUnavailable, v.code(http.MethodGet, maps, ""))
		}
		v.gate.Clear()
		require.Equal(t, http.StatusOK, v.code(http.MethodGet, maps, ""))
		require.Equal(t, 3, count())
	})
}
