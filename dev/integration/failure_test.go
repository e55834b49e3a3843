package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// web is a Compute of two replicas whose properties can be added to.
func web(more string) string {
	return "    - {name: backend, type: Network}\n" + compute("web", "2", more)
}

func compute(name, replicas, more string) string {
	return fmt.Sprintf(`    - name: %s
      type: Compute
      properties:
        image: windlass.local/fixture:1
        replicas: %s
        networks: ["${backend.name}"]
        stopGracePeriod: 1s
%s`, name, replicas, more)
}

const healthy = "        health: {http: {path: /healthz, port: 8080}, interval: 100ms}\n"

// testFailures lets the second revision fail in every way that people will meet:
// the failure says what was found, and the first revision goes on.
func testFailures(t *testing.T, w *world) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().(*net.TCPAddr).Port

	cases := map[string]struct {
		second string
		// untouched says that the containers of the first revision never stop.
		untouched bool
		ends      string
		check     func(t *testing.T, f schemas.Failure)
	}{
		"an image that is missing": {
			second:    strings.Replace(web(healthy), "fixture:1", "nobody-made-this:1", 1),
			untouched: true, ends: schemas.StatusDeploymentFailed,
			check: func(t *testing.T, f schemas.Failure) {
				require.Equal(t, "spec.resources[1].properties.image", f.Field)
				require.Equal(t, 11, f.Line)
			},
		},
		"a new resource whose port is taken": {
			second:    web(healthy) + compute("api", "1", fmt.Sprintf("        ports: [{containerPort: 8080, hostPort: %d}]\n", port)),
			untouched: true, ends: schemas.StatusDeploymentRolledBack,
			check: func(t *testing.T, f schemas.Failure) {
				require.Equal(t, "Conflict", f.Kind)
				require.Equal(t, "spec.resources[2].properties.ports[0].hostPort", f.Field)
				require.Contains(t, f.Message, fmt.Sprintf("port %d of the host is taken", port))
				require.Equal(t, 23, f.Line)
			},
		},
		"a port that is taken for what ran without": {
			second: strings.Replace(web(healthy+fmt.Sprintf("        ports: [{containerPort: 8080, hostPort: %d}]\n", port)), "replicas: 2", "replicas: 1", 1),
			ends:   schemas.StatusDeploymentRolledBack,
			check:  func(t *testing.T, f schemas.Failure) { require.Equal(t, "Conflict", f.Kind) },
		},
		"health that is never good": {
			second:    web("        health: {http: {path: /healthz, port: 8080}, interval: 200ms, startPeriod: 1s}\n        environment: {FIXTURE_NEVER_HEALTHY: \"true\", FIXTURE_LOG_LINES: \"5\"}\n"),
			untouched: true, ends: schemas.StatusDeploymentRolledBack,
			check: func(t *testing.T, f schemas.Failure) {
				require.Equal(t, "Unhealthy", f.Kind)
				require.Contains(t, f.Evidence.Health, "never healthy")
				require.Contains(t, f.Evidence.Logs, "line 5")
			},
		},
		"a container that ends": {
			second:    web(healthy + "        environment: {FIXTURE_EXIT_CODE: \"3\", FIXTURE_LOG_LINES: \"30\"}\n"),
			untouched: true, ends: schemas.StatusDeploymentRolledBack,
			check: requireExit,
		},
		"a container that ends and is not to be restarted": {
			second:    web(healthy + "        restartPolicy: Never\n        environment: {FIXTURE_EXIT_CODE: \"3\", FIXTURE_LOG_LINES: \"30\"}\n"),
			untouched: true, ends: schemas.StatusDeploymentRolledBack,
			check: requireExit,
		},
		"a container that ends and has no health check": {
			second:    web("        restartPolicy: Never\n        strategy: {minReadySeconds: 60}\n        environment: {FIXTURE_EXIT_CODE: \"3\", FIXTURE_LOG_LINES: \"30\"}\n"),
			untouched: true, ends: schemas.StatusDeploymentRolledBack,
			check: requireExit,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environment := newEnvironment(t)
			scope := scopeOf(environment)
			w.deploy(t, scope, document(scope, web(healthy)))
			w.requireEnd(t, scope, 1, schemas.StatusDeploymentSucceeded)
			before := lives(t, environment, "web")
			require.Len(t, before, 2)

			w.deploy(t, scope, document(scope, c.second))
			end := w.requireEnd(t, scope, 2, c.ends)
			failed := w.awaitEvent(t, scope, "deployment.failed", func(e schemas.Event) bool { return e.Type == schemas.StatusDeploymentFailed })
			require.NotNil(t, failed.Deployment.Error)
			c.check(t, *failed.Deployment.Error)
			if c.ends == schemas.StatusDeploymentRolledBack {
				require.False(t, failed.Deployment.Final)
				require.Equal(t, 1, *end.Deployment.RollbackTo)
			}
			w.settle(t, scope)
			requireObjects(t, environment, "network shop.backend", "container shop.web.0", "container shop.web.1")
			after := lives(t, environment, "web")
			if c.untouched {
				require.Equal(t, before, after, "the containers of the first revision were touched")
			}
			for _, c := range containersOf(t, environment, "web") {
				require.Empty(t, c.HostConfig.PortBindings)
			}
		})
	}
}

// requireExit checks the evidence of a container that printed 30 lines and ended with 3.
func requireExit(t *testing.T, f schemas.Failure) {
	t.Helper()
	require.NotNil(t, f.Evidence)
	require.NotNil(t, f.Evidence.ExitCode, "%+v", *f.Evidence)
	require.Equal(t, 3, *f.Evidence.ExitCode)
	require.NotEmpty(t, f.Evidence.Logs)
	require.Equal(t, "line 30", f.Evidence.Logs[len(f.Evidence.Logs)-1])
	require.Contains(t, f.Message, "3")
}

// testFirstFailure lets the first revision fail: there is nothing to go back to,
// so that nothing is left, unless the document wants everything kept.
func testFirstFailure(t *testing.T, w *world) {
	broken := web(healthy + "        restartPolicy: Never\n        environment: {FIXTURE_EXIT_CODE: \"3\", FIXTURE_LOG_LINES: \"30\"}\n")
	t.Run("nothing is left", func(t *testing.T) {
		t.Parallel()
		scope := scopeOf(newEnvironment(t))
		w.deploy(t, scope, document(scope, broken))
		w.requireEnd(t, scope, 1, schemas.StatusDeploymentRolledBack)
		requireObjects(t, scope.Environment)
	})
	t.Run("everything is kept", func(t *testing.T) {
		t.Parallel()
		scope := scopeOf(newEnvironment(t))
		w.deploy(t, scope, strings.Replace(document(scope, broken), "  resources:", "  onFailure: keep\n  resources:", 1))
		requireExit(t, *w.requireEnd(t, scope, 1, schemas.StatusDeploymentFailed).Deployment.Error)
		require.NotEmpty(t, containersOf(t, scope.Environment, "web"), "the evidence was removed")
	})
}
