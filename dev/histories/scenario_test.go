package histories

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
	"windlass/workflows"
)

// scenario plays on a scene, and returns how many revisions it made. What it
// started has told its end by then.
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
