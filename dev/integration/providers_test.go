package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/events"
	"windlass/schemas"
)

// spanning is an Infrastructure at two providers.
const spanning = `    - {name: backend, type: Network}
    - name: near
      type: Compute
      properties: {image: "windlass.local/fixture:1", networks: ["${backend.name}"], stopGracePeriod: 1s}
    - {name: far-net, type: Network, provider: second}
    - name: far
      type: Compute
      provider: second
      dependsOn: [near]
      properties: {image: "windlass.local/fixture:1", networks: ["${far-net.name}"], stopGracePeriod: 1s}
`

// TestOneInfrastructureSpansProviders has a worker with three providers, two names of
// one engine and one that is away. That one keeps neither the worker from starting nor
// anybody from deploying who has nothing there, and is waited for by those who have.
func TestOneInfrastructureSpansProviders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	away, awayHost := newEngineGate(t)
	away.shut()
	w.config.ProvidersFile = filepath.Join(w.dir, "providers.yaml")
	require.NoError(t, os.WriteFile(w.config.ProvidersFile, fmt.Appendf(nil, `apiVersion: windlass/v1
kind: Providers
providers:
  - {name: docker, kind: docker, docker: {host: "%s"}}
  - {name: second, kind: docker, docker: {host: "unix://%s", parallelism: 2}}
  - {name: away, kind: docker, docker: {host: "%s"}}
`, w.config.DockerHost, engineSocket(), awayHost), 0o600))
	w.config.DockerHost, w.config.PostgresImage, w.config.RedisImage = "", "", ""
	w.startWorker(t)
	health := w.providers(t)
	require.Equal(t, []string{"away", "docker", "second"}, []string{health[0].Name, health[1].Name, health[2].Name})
	require.Equal(t, "see whether the container engine runs and can be reached", health[0].Error.Hint)
	require.Nil(t, health[1].Error)
	require.Equal(t, health[1].Version, health[2].Version)

	environment := newEnvironment(t)
	scope := scopeOf(environment)
	w.deploy(t, scope, document(scope, spanning))
	w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
	at := map[string]string{}
	for _, o := range requireObjects(t, environment, "network shop.backend", "container shop.near.0", "network shop.far-net", "container shop.far.0") {
		at[o.labels[activities.LabelResource]] = o.labels[activities.LabelProvider]
	}
	require.Equal(t, map[string]string{"backend": "docker", "near": "docker", "far-net": "second", "far": "second"}, at)
	before := lives(t, environment, "far")
	w.deploy(t, scope, document(scope, spanning))
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	require.Equal(t, before, lives(t, environment, "far"), "what is as declared was touched")

	// Who has something at the provider that is away waits for it, and nobody else does.
	waiting := schemas.Scope{Environment: environment, Infrastructure: "waiting"}
	w.deploy(t, waiting, document(waiting, "    - {name: there, type: Network, provider: away}\n"))
	require.Eventually(t, func() bool { return strings.Contains(w.worker.log(t), "provider away: ") }, patience, 200*time.Millisecond, "nobody notices that the provider is away")
	w.deploy(t, scope, document(scope, spanning+"    - {name: more, type: Storage, provider: second}\n"))
	w.requireEnd(t, scope, 3, schemas.StatusDeploymentSucceeded)

	away.open(t)
	w.requireEnd(t, waiting, 1, schemas.StatusDeploymentSucceeded)
	require.Nil(t, w.providers(t)[0].Error)

	// Everything goes only where somebody can see what is there.
	away.shut()
	w.destroy(t, scope)
	w.requireEnd(t, scope, 4, schemas.StatusDeploymentSucceeded)
	w.destroy(t, waiting)
	w.awaitEvent(t, waiting, "that the destruction begins", func(e schemas.Event) bool {
		return e.Type == schemas.StatusDeploymentStarted && e.Deployment.Revision == 2
	})
	requireObjects(t, environment, "network waiting.there")
	away.open(t)
	w.requireEnd(t, waiting, 2, schemas.StatusDeploymentSucceeded)
	w.settle(t, waiting)
	requireObjects(t, environment)
	places, err := events.OpenPlaces(t.Context(), w.js)
	require.NoError(t, err)
	for _, gone := range []schemas.Scope{scope, waiting} {
		known, err := places.Of(t.Context(), gone)
		require.NoError(t, err)
		require.Empty(t, known, "who has nothing anywhere waits for nobody")
	}
}

// providers asks the worker how its providers are.
func (w *world) providers(t *testing.T) []schemas.ProviderStatus {
	t.Helper()
	reply, err := w.conn.Request(schemas.QueryProviders, nil, patience)
	require.NoError(t, err)
	require.Empty(t, reply.Header.Get("Nats-Service-Error"))
	var answer schemas.ProvidersAnswer
	require.NoError(t, json.Unmarshal(reply.Data, &answer))
	return answer.Providers
}
