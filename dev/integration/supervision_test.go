package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
	"windlass/schemas"
)

// inCluster is a document with one Compute in a cluster.
func inCluster(scope schemas.Scope, image string) string {
	return document(scope, fmt.Sprintf(`    - name: web
      type: Compute
      provider: prod-eu
      properties: {image: "%s", replicas: 4, strategy: {maxSurge: 1, maxUnavailable: 0}}
`, image))
}

// newClusterWorld is a world whose workers have a cluster beside the engine.
func newClusterWorld(t *testing.T, cluster *kubernetes.Cluster) *world {
	t.Helper()
	w := newWorld(t)
	w.config.ProvidersFile = filepath.Join(w.dir, "providers.yaml")
	require.NoError(t, os.WriteFile(w.config.ProvidersFile, fmt.Appendf(nil, `apiVersion: windlass/v1
kind: Providers
providers:
  - {name: docker, kind: docker, docker: {host: "%s"}}
  - {name: prod-eu, kind: kubernetes, kubernetes: {kubeconfig: "%s"}}
`, w.config.DockerHost, cluster.Kubeconfig()), 0o600))
	w.config.DockerHost, w.config.PostgresImage, w.config.RedisImage = "", "", ""
	return w
}

// every is how many calls to Temporal lie between two at which the worker is killed: each
// kill waits for the timeouts of what it interrupted.
const every = 4

// TestAWorkerKilledDuringARolloutInAClusterLosesNothing has the worker killed at calls to
// Temporal all along rollouts of a Deployment, of which some go back. Each ends as if
// nothing had happened, and tells its progress in order.
func TestAWorkerKilledDuringARolloutInAClusterLosesNothing(t *testing.T) {
	t.Parallel()
	cluster, err := kubernetes.Start(t.Context(), kubernetes.Options{})
	require.NoError(t, err)
	t.Cleanup(cluster.Stop)
	w := newClusterWorld(t, cluster)
	w.startWorker(t)
	environment := newEnvironment(t)
	scope := scopeOf(environment)
	w.deploy(t, scope, inCluster(scope, "fate.test/slow/200ms:0"))
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	good, revision := "fate.test/slow/200ms:0", 1
	for n, reached := 1, true; reached; n += every {
		revision++
		image, ends, step := fmt.Sprintf("fate.test/slow/200ms:%d", n), schemas.StatusDeploymentSucceeded, step{gate: "temporal", n: n, when: afterCall}
		if n%(2*every) == 1 {
			image, ends = fmt.Sprintf("fate.test/crash:%d", n), schemas.StatusDeploymentRolledBack
		}
		reached = w.harm(t, step, scope, revision, ends, func() { w.deploy(t, scope, inCluster(scope, image)) })
		if ends == schemas.StatusDeploymentSucceeded {
			good = image
		}
		listed := w.windlass(t, "", "kubernetes", "get", "deployment", "web", "-n", environment+"-shop", "--provider", "prod-eu")
		require.Contains(t, listed, "image: "+good, "call %d", n)
	}
	require.Greater(t, revision, 5, "the worker was killed at too few steps")
	var last string
	w.audience.mutex.Lock()
	for _, e := range w.audience.heard {
		if strings.Contains(e.Type, ".rollout.") {
			require.Greater(t, e.Sequence, last, "events of the rollout come out of order")
			last = e.Sequence
		}
	}
	w.audience.mutex.Unlock()
	require.NotEmpty(t, last)
	w.harm(t, step{gate: "temporal"}, scope, revision+1, schemas.StatusDeploymentSucceeded, func() { w.destroy(t, scope) })
}
