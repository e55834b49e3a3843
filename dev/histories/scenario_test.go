package histories

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
	"windlass/workflows"
)

// scenario plays on a scene, and returns how many revisions it made: none where it is
// about a single container. What it started has told its end by then.
type scenario func(c *scene) (revisions int)

// scenarios are those that the replay test expects, by the name of their files.
var scenarios = map[string]scenario{
	"first-deploy":      firstDeploy,
	"update":            update,
	"rollback":          rollback,
	"rejected-image":    rejectedImage,
	"cancelled":         cancelled,
	"destroy":           destroy,
	"queued-commands":   queuedCommands,
	"signal-duplicates": signalDuplicates,
	"approved":          approved,
	"paused":            paused,
	"drifted":           drifted,
	"orders":            orders,
	"rolled":            rolled,
	"returned":          returned,
	"balanced":          balanced,
	"exchanged":         exchanged,
	"canary":            canary,
	"aborted":           aborted,
	"superseded":        superseded,
	"scaled":            scaled,
	"contained":         contained,
	"supervised":        supervised,
	"supervised-return": supervisedReturn,
}

const base = `    - {name: backend, type: Network}
    - {name: data, type: Storage}
`

// compute is a container of the fixture that misbehaves as the environment says.
func compute(name, health, environment string) string {
	return fmt.Sprintf(`    - name: %s
      type: Compute
      properties:
        image: windlass.local/fixture:1
        networks: ["${backend.name}"]
        stopGracePeriod: 1s
        health: {http: {path: /healthz, port: 8080}, interval: 100ms%s}
        environment: {%s}
`, name, health, environment)
}

func firstDeploy(c *scene) int {
	c.send(c.deployment(base + compute("web", "", "") + compute("api", "", "")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 1
}

func update(c *scene) int {
	c.send(c.deployment(base + compute("web", "", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment("    - {name: backend, type: Network}\n" + compute("web", "", "VERSION: two") + compute("api", "", "")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func rollback(c *scene) int {
	c.send(c.deployment(base + compute("web", "", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(base + compute("web", "", "VERSION: two") + compute("api", "", `FIXTURE_EXIT_CODE: "3", FIXTURE_LOG_LINES: "2"`)))
	c.await(schemas.StatusDeploymentRolledBack, "")
	return 2
}

func rejectedImage(c *scene) int {
	c.send(c.deployment(base + "    - {name: web, type: Compute, properties: {image: \"windlass.local/nobody-made-this:1\", pullPolicy: Never}}\n"))
	c.await(schemas.StatusDeploymentFailed, "")
	return 1
}

// hanging never gets healthy.
func hanging() string {
	return compute("web", ", startPeriod: 1h", `FIXTURE_NEVER_HEALTHY: "true"`)
}

func cancelled(c *scene) int {
	c.send(c.deployment(base + hanging()))
	c.await(schemas.StatusResourceCreating, "web")
	require.NoError(c.t, c.temporal.CancelWorkflow(c.context(), workflows.DeployID(c.scope, 1), ""))
	c.await(schemas.StatusDeploymentCancelled, "")
	return 1
}

func destroy(c *scene) int {
	c.send(c.deployment(base + compute("web", "", "")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.destruction())
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func queuedCommands(c *scene) int {
	c.send(c.deployment(base + hanging()))
	c.await(schemas.StatusResourceCreating, "web")
	c.send(c.deployment(base))
	c.send(c.destruction())
	c.await(schemas.StatusCommandSuperseded, "")
	require.NoError(c.t, c.temporal.CancelWorkflow(c.context(), workflows.DeployID(c.scope, 1), ""))
	c.await(schemas.StatusDeploymentCancelled, "")
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func signalDuplicates(c *scene) int {
	first, second := c.deployment(base+hanging()), c.destruction()
	c.send(first)
	c.await(schemas.StatusResourceCreating, "web")
	c.send(first)
	c.send(second)
	c.send(second)
	require.NoError(c.t, c.temporal.CancelWorkflow(c.context(), workflows.DeployID(c.scope, 1), ""))
	c.await(schemas.StatusDeploymentCancelled, "")
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(first)
	last := c.destruction()
	c.send(last)
	accepted := c.await(schemas.StatusCommandAccepted, "")
	require.Equal(c.t, last.ID(), accepted.CausationID, "a copy has an effect")
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 3
}

func approved(c *scene) int {
	c.send(c.deploymentUnder("  approval: required\n", base+compute("web", "", "")))
	c.await(schemas.StatusDeploymentPaused, "")
	c.send(c.command(schemas.CommandApproveRequested, schemas.ApproveRequested{Scope: c.scope, Revision: 2}))
	c.await(schemas.StatusCommandRejected, "")
	c.send(c.command(schemas.CommandApproveRequested, schemas.ApproveRequested{Scope: c.scope, Revision: 1}))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 1
}

func paused(c *scene) int {
	c.send(c.deploymentUnder("  onFailure: pause\n", base+compute("web", "", "")+compute("api", "", `FIXTURE_EXIT_CODE: "3", FIXTURE_LOG_LINES: "2"`)))
	for _, decision := range []schemas.Decision{schemas.DecisionRetry, schemas.DecisionSkip} {
		c.await(schemas.StatusDeploymentPaused, "")
		c.send(c.command(schemas.CommandResumeRequested, schemas.ResumeRequested{Scope: c.scope, Revision: 1, Decision: decision}))
	}
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 1
}

func drifted(c *scene) int {
	c.send(c.deploymentUnder("  drift: {interval: 24h, selfHeal: true}\n", base+compute("web", "", "")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	removeContainers(c.t, c.scope.Environment)
	require.NoError(c.t, c.temporal.SignalWorkflow(c.context(), workflows.InfrastructureID(c.scope), "", workflows.SignalDrift, nil))
	c.await(schemas.StatusResourceDrifted, "web")
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func orders(c *scene) int {
	c.send(c.deployment("    - {name: data, type: Storage, protect: true}\n"))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.destruction())
	c.await(schemas.StatusDeploymentFailed, "")
	c.send(c.command(schemas.CommandUnprotectRequested, schemas.UnprotectRequested{Scope: c.scope, Resources: []string{"data"}}))
	c.await(schemas.StatusResourceUnprotected, "data")
	c.send(c.command(schemas.CommandResyncRequested, schemas.ResyncRequested{Scope: c.scope}))
	c.await(schemas.StatusCommandAccepted, "")
	c.send(c.command(schemas.CommandCancelRequested, schemas.CancelRequested{Scope: c.scope}))
	c.await(schemas.StatusCommandRejected, "")
	return 2
}

// rolling is a Compute whose replicas move as the strategy says.
func rolling(strategy, environment string) string {
	return base + compute("web", ", startPeriod: 1s", environment) + "        replicas: 2\n        strategy: " + strategy + "\n"
}

func rolled(c *scene) int {
	c.send(c.deployment(rolling("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(rolling("{maxSurge: 1, minReadySeconds: 1, monitor: 1h}", "VERSION: two")))
	c.await(schemas.StatusRolloutStarted, "web")
	order := func(eventType string) {
		c.send(c.command(eventType, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	}
	order(schemas.CommandRolloutPause)
	c.await(schemas.StatusRolloutPaused, "web")
	order(schemas.CommandRolloutPause)
	c.await(schemas.StatusCommandRejected, "")
	order(schemas.CommandRolloutResume)
	c.awaitRollout(schemas.RolloutMonitoring)
	order(schemas.CommandRolloutPromote)
	c.await(schemas.StatusDeploymentSucceeded, "")
	order(schemas.CommandRolloutAbort)
	c.await(schemas.StatusCommandRejected, "")
	return 2
}

func returned(c *scene) int {
	c.send(c.deployment(rolling("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(rolling("{maxUnavailable: 1}", `FIXTURE_NEVER_HEALTHY: "true"`)))
	c.await(schemas.StatusRolloutRolledBack, "web")
	c.await(schemas.StatusDeploymentRolledBack, "")
	return 2
}

// fronted is a Compute whose replicas move as the strategy says, behind a proxy.
func fronted(strategy, environment string) string {
	return rolling(strategy, environment) + `    - name: front
      type: LoadBalancer
      properties: {target: "${web.name}", networks: ["${backend.name}"], listen: [{port: 8080, targetPort: 8080, hostPort: 0}]}
`
}

// balanced moves replicas behind a proxy: requests are passed to the new ones, and the
// old ones are drained.
func balanced(c *scene) int {
	c.send(c.deployment(fronted("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(fronted("{maxSurge: 1}", "VERSION: two")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func exchanged(c *scene) int {
	c.send(c.deployment(fronted("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(fronted("{type: BlueGreen, warm: 1h}", "VERSION: two")))
	c.awaitRollout(schemas.RolloutWarm)
	c.send(c.command(schemas.CommandRolloutPromote, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

// waiting is a strategy that measures the new version and then waits for somebody.
const waiting = "{type: Canary, steps: [{weight: 50, analysis: {interval: 100ms, count: 2, http: {path: /healthz, port: 8080}}, pause: {}}]}"

func canary(c *scene) int {
	c.send(c.deployment(fronted("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(fronted(waiting, "VERSION: two")))
	c.awaitRollout(schemas.RolloutHolding)
	c.send(c.command(schemas.CommandRolloutPromote, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

func aborted(c *scene) int {
	c.send(c.deployment(fronted("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(fronted("{type: BlueGreen, warm: 1h}", "VERSION: two")))
	c.awaitRollout(schemas.RolloutWarm)
	c.send(c.command(schemas.CommandRolloutAbort, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	c.await(schemas.StatusRolloutRolledBack, "web")
	c.await(schemas.StatusDeploymentRolledBack, "")
	return 2
}

// superseded has a newer version begin where the rollout of another one stands.
func superseded(c *scene) int {
	c.send(c.deployment(fronted("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(fronted(waiting, "VERSION: two")))
	c.awaitRollout(schemas.RolloutHolding)
	c.send(c.supersession(fronted("{maxSurge: 1}", "VERSION: three")))
	c.await(schemas.StatusDeploymentCancelled, "")
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 3
}

func scaled(c *scene) int {
	scale := func(resource string) {
		c.send(c.command(schemas.CommandScaleRequested, schemas.ScaleRequested{Scope: c.scope, Resource: resource, Replicas: 1}))
	}
	c.send(c.deployment(rolling("{}", "VERSION: one")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	scale("data")
	rejected := c.await(schemas.StatusCommandRejected, "").Command
	require.Equal(c.t, "data.resource", rejected.Faults[0].Field)
	scale("web")
	c.await(schemas.StatusDeploymentSucceeded, "")
	require.Len(c.t, containers(c.t, c.scope.Environment), 1)
	return 2
}

func contained(c *scene) int {
	order := func(eventType string) {
		c.send(c.command(eventType, schemas.ContainerRequested{Environment: c.scope.Environment, Container: c.scope.Infrastructure}))
	}
	run := func(policy, environment string) {
		c.send(c.command(schemas.CommandContainerRun, map[string]any{"document": fmt.Sprintf(`apiVersion: windlass/v1
kind: Container
metadata: {name: %s}
spec:
  environment: %s
  unhealthyPolicy: %s
  properties:
    image: windlass.local/fixture:1
    stopGracePeriod: 1s
    restartPolicy: Never
    health: {http: {path: /healthz, port: 8080}, interval: 100ms, startPeriod: 1s}
    environment: {%s}
`, c.scope.Infrastructure, c.scope.Environment, policy, environment)}))
	}
	run("none", "")
	c.await(schemas.StatusContainerHealthy, "")
	order(schemas.CommandContainerPause)
	c.await(schemas.StatusContainerPaused, "")
	order(schemas.CommandContainerPause)
	order(schemas.CommandContainerResume)
	c.await(schemas.StatusContainerHealthy, "")
	order(schemas.CommandContainerRestart)
	c.await(schemas.StatusContainerHealthy, "")
	run("replace", `FIXTURE_NEVER_HEALTHY: "true"`)
	c.await(schemas.StatusContainerRemoved, "")
	c.await(schemas.StatusContainerUnhealthy, "")
	run("stop", `FIXTURE_NEVER_HEALTHY: "true"`)
	c.await(schemas.StatusContainerStopped, "")
	run("restart", `FIXTURE_EXIT_AFTER: "2s", FIXTURE_EXIT_CODE: "3"`)
	c.await(schemas.StatusContainerExited, "")
	removeContainers(c.t, c.scope.Environment)
	c.await(schemas.StatusContainerRemoved, "")
	c.await(schemas.StatusContainerStarted, "")
	order(schemas.CommandContainerStop)
	c.await(schemas.StatusContainerStopped, "")
	order(schemas.CommandContainerRemove)
	c.await(schemas.StatusContainerRemoved, "")
	return 0
}

// deployment in the cluster of the stage, whose pods take some time to get ready.
func inCluster(image string) string {
	return fmt.Sprintf("    - {name: web, type: Compute, provider: cluster, properties: {image: %q, replicas: 3, strategy: {maxSurge: 1}}}\n", image)
}

// supervised pauses the rollout of a Deployment and has it go on.
func supervised(c *scene) int {
	c.send(c.deployment(inCluster("fate.test/slow/500ms:1")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(inCluster("fate.test/slow/500ms:2")))
	c.await(schemas.StatusRolloutStarted, "web")
	c.send(c.command(schemas.CommandRolloutPause, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	c.await(schemas.StatusRolloutPaused, "web")
	c.send(c.command(schemas.CommandRolloutResume, schemas.RolloutRequested{Scope: c.scope, Resource: "web"}))
	c.await(schemas.StatusDeploymentSucceeded, "")
	return 2
}

// supervisedReturn goes back since the new version crashes.
func supervisedReturn(c *scene) int {
	c.send(c.deployment(inCluster("fate.test/slow/100ms:1")))
	c.await(schemas.StatusDeploymentSucceeded, "")
	c.send(c.deployment(inCluster("fate.test/crash:2")))
	c.await(schemas.StatusRolloutRolledBack, "web")
	c.await(schemas.StatusDeploymentRolledBack, "")
	return 2
}
