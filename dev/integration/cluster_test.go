package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
	"windlass/schemas"
	"windlass/starter"
)

// TestOneInfrastructureSpansAnEngineAndACluster deploys one document to both, and looks
// into the cluster with the command.
func TestOneInfrastructureSpansAnEngineAndACluster(t *testing.T) {
	t.Parallel()
	cluster, err := kubernetes.Start(t.Context(), kubernetes.Options{})
	require.NoError(t, err)
	t.Cleanup(cluster.Stop)
	w := newClusterWorld(t, cluster)
	w.startWorker(t)
	health := w.providers(t)
	require.Equal(t, schemas.ProviderKubernetes, health[1].Kind)
	require.Contains(t, health[1].Version, "Kubernetes v1.")

	environment := newEnvironment(t)
	scope := scopeOf(environment)
	namespace := environment + "-shop-far"
	w.deploy(t, scope, document(scope, `    - {name: near, type: Network}
    - {name: far, type: Network, provider: prod-eu, dependsOn: [near]}
`))
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	requireObjects(t, environment, "network shop.near")
	listed := w.windlass(t, "", "kubernetes", "list", "ns")
	require.Contains(t, listed, " "+namespace+" ")

	config := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: %s}\ndata: {port: \"8080\"}\n", namespace)
	apply := []string{"kubernetes", "apply", "-f", "-", "--provider", "prod-eu"}
	require.Equal(t, "ConfigMap "+namespace+"/settings created\n", w.windlass(t, config, apply...))
	require.Equal(t, "ConfigMap "+namespace+"/settings unchanged\n", w.windlass(t, config, apply...))
	require.Contains(t, w.windlass(t, "", "kubernetes", "get", "cm", "settings", "-n", namespace), "port: \"8080\"")
	require.Equal(t, "ConfigMap "+namespace+"/settings deleted\n", w.windlass(t, "", "kubernetes", "delete", "cm", "settings", "-n", namespace, "--yes"))

	w.destroy(t, scope)
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	requireObjects(t, environment)
	require.Eventually(t, func() bool { return !strings.Contains(w.windlass(t, "", "kubernetes", "list", "ns"), namespace) }, patience, 200*time.Millisecond)
}

// windlass runs the command to its good end and returns what it says.
func (w *world) windlass(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := starter.Main(t.Context(), append(args, "--nats", w.natsURL), strings.NewReader(stdin), &stdout, &stderr)
	require.Zero(t, code, "%v: %s", args, stderr.String())
	return stdout.String()
}
