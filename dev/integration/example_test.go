package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// everyType declares one resource of each type, and of each engine of databases.
const everyType = `    - {name: net, type: Network, properties: {subnet: 10.79.0.0/24}}
    - name: guard
      type: SecurityGroup
      properties:
        ingress: [{protocol: TCP, fromPort: 8080, sources: [{resource: edge}]}]
        egress: [{protocol: TCP, fromPort: 5432, targets: [{resource: db}]}]
    - {name: data, type: Storage}
    - {name: cache, type: Database, properties: {engine: redis, version: "7", networks: ["${net.name}"]}}
    - {name: db, type: Database, properties: {engine: postgres, version: "15", networks: ["${net.name}"]}}
    - name: migrate
      type: Compute
      dependsOn: [db]
      properties: {image: "windlass.local/fixture:1", args: [sleep, 10ms], endState: completed, networks: ["${net.name}"]}
    - name: web
      type: Compute
      dependsOn: [migrate]
      properties:
        image: windlass.local/fixture:1
        networks: ["${net.name}"]
        securityGroups: ["${guard.name}"]
        volumes: [{source: "${data.name}", mountPath: /data}]
        initSteps: [{name: wait, args: [sleep, 10ms]}]
        environment: {CACHE_URL: "${cache.url}", DATABASE_URL: "${db.url}"}
        ports: [{containerPort: 8080}]
        health: {http: {path: /healthz, port: 8080}, interval: 100ms}
    - name: edge
      type: LoadBalancer
      properties:
        target: ${web.name}
        listen: [{port: 80, hostPort: 0}]
        trafficPolicy: {loadBalancer: LeastConnections, retry: {retryOn: [connect-failure]}}
`

// TestWhatIsDeployedIsAsDeclaredAlsoAfterARestart plans every example and every type
// of resource again, after it was deployed and after everything was restarted.
func TestWhatIsDeployedIsAsDeclaredAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	requests := map[schemas.Scope]schemas.PlanRequest{}
	deploy := func(environment string, request schemas.PlanRequest) {
		document, err := schemas.Parse([]byte(request.Document), request.Parameters)
		require.NoError(t, err)
		require.Equal(t, environment, document.Spec.Environment)
		requests[document.Scope()] = request
		text, err := json.Marshal(request.Document)
		require.NoError(t, err)
		w.command(t, document.Scope(), schemas.CommandDeploymentRequested, schemas.DeploymentRequested{Document: text, Parameters: request.Parameters})
	}
	environment := newEnvironment(t)
	deploy(environment, schemas.PlanRequest{Document: document(scopeOf(environment), everyType)})
	deployed := 0
	for _, text := range examples(t) {
		if !isContainer(text) {
			environment := newEnvironment(t)
			deploy(environment, moved(t, text, environment))
			deployed++
		}
	}
	require.GreaterOrEqual(t, deployed, 2)
	requireNoMoves := func() {
		for scope, request := range requests {
			w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
			require.Empty(t, w.moves(t, request), "%s", scope)
		}
	}
	requireNoMoves()

	w.worker.stop(t)
	w.conn.Close()
	w.servers.stop(t)
	w.startServers(t)
	w.redirect(t)
	w.startWorker(t)
	requireNoMoves()

	// Security groups are in the kernel, where nothing else of the test cleans up.
	for scope := range requests {
		w.destroy(t, scope)
		w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
		requireObjects(t, scope.Environment)
	}
}

// examples are the texts of the documents among the examples.
func examples(t *testing.T) [][]byte {
	t.Helper()
	yaml, err := filepath.Glob("../../examples/*.yaml")
	require.NoError(t, err)
	all, err := filepath.Glob("../../examples/*.json")
	require.NoError(t, err)
	for _, name := range all {
		if filepath.Ext(name[:len(name)-len(".json")]) != ".event" {
			yaml = append(yaml, name)
		}
	}
	texts := make([][]byte, len(yaml))
	for i, name := range yaml {
		texts[i], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return texts
}

func isContainer(text []byte) bool { return bytes.Contains(text, []byte("kind: Container\n")) }

func TestTheExampleOfAContainerRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	ran := 0
	for _, text := range examples(t) {
		if !isContainer(text) {
			continue
		}
		environment := newEnvironment(t)
		elsewhere := strings.NewReplacer("environment: staging", "environment: "+environment, "hostPort: 6379", fmt.Sprintf("hostPort: %d", freePort(t))).Replace(string(text))
		c, err := schemas.ParseContainer([]byte(elsewhere))
		require.NoError(t, err)
		require.Equal(t, environment, c.Spec.Environment)
		scope := schemas.ContainerScope(environment, c.Metadata.Name)
		w.command(t, scope, schemas.CommandContainerRun, map[string]any{"document": elsewhere})
		w.awaitEvent(t, scope, "its health", func(e schemas.Event) bool { return e.Type == schemas.StatusContainerHealthy })
		ran++
	}
	require.Positive(t, ran)
}

// moved is an example in another environment: by its parameter, or by the document.
func moved(t *testing.T, text []byte, environment string) schemas.PlanRequest {
	t.Helper()
	if text[0] != '{' {
		return schemas.PlanRequest{Document: string(text), Parameters: map[string]any{"environment": environment, "port": 0}}
	}
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	object["spec"].(map[string]any)["environment"] = environment
	return schemas.PlanRequest{Document: asJSON(object)}
}
