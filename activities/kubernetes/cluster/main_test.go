package cluster

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"windlass/activities"
	"windlass/dev/kubernetes"
	"windlass/dev/kubernetes/clustertest"
)

var shared clustertest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

var configMap = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

// clientWith is a client with a kubeconfig file.
func clientWith(t *testing.T, kubeconfig string) *Client {
	t.Helper()
	c, err := New(Config{Name: "test", Kubeconfig: kubeconfig, QPS: 1000, Burst: 2000})
	require.NoError(t, err)
	return c
}

// administrator is a client of the shared cluster that may do everything.
func administrator(t *testing.T) *Client {
	t.Helper()
	return clientWith(t, shared.Cluster(t).Kubeconfig())
}

// behindGate is such a client with a gate before the server.
func behindGate(t *testing.T) (*Client, *kubernetes.Gate) {
	t.Helper()
	gate := shared.Gate(t)
	kubeconfig, err := gate.KubeconfigFor(kubernetes.Administrator, shared.Cluster(t).Token(kubernetes.Administrator))
	require.NoError(t, err)
	return clientWith(t, kubeconfig), gate
}

// parsed is an object in YAML, in a namespace unless that is empty.
func parsed(t *testing.T, namespace, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	content, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err, text)
	require.NoError(t, o.UnmarshalJSON(content), text) // numbers are as the server's
	o.SetNamespace(namespace)
	return o
}

// mapNamed is a ConfigMap.
func mapNamed(t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	return parsed(t, namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+"}}")
}

func mapReference(namespace, name string) Reference {
	return Reference{GroupVersionKind: configMap, Namespace: namespace, Name: name}
}

// requireFault fails unless err is a Fault of the kind whose message and hint have the words.
// An empty hint is not looked at.
func requireFault(t *testing.T, err error, kind activities.FaultKind, hint string, words ...string) {
	t.Helper()
	var f *activities.Fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, f.Error())
	for _, word := range words {
		require.Contains(t, f.Message, word)
	}
	require.Contains(t, f.Hint, hint)
}

// request is made as the administrator, past all gates.
func request(t *testing.T, method, path string, body any) {
	t.Helper()
	require.NoError(t, shared.Cluster(t).Request(t.Context(), method, path, body, nil))
}

// eventually tries until what is tried succeeds.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
		time.Sleep(20 * time.Millisecond)
	}
}

// forever is a context that ends with the test, but for those that hang.
func forever(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reads are the requests through a gate that read the collection of ConfigMaps, in the
// first page and those that follow it.
func reads(gate *kubernetes.Gate) (pages []string) {
	for _, passed := range gate.Passed() {
		if strings.HasPrefix(passed, http.MethodGet) && strings.Contains(passed, "/configmaps?") && strings.Contains(passed, "limit=") {
			pages = append(pages, passed)
		}
	}
	return pages
}
