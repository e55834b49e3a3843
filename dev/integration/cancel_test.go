package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"windlass/schemas"
	"windlass/workflows"
)

// testCancellation cancels a deployment by hand while it waits for a replica that
// never gets healthy.
func testCancellation(t *testing.T, w *world) {
	scope := scopeOf(newEnvironment(t))
	w.deploy(t, scope, document(scope, web("        health: {http: {path: /healthz, port: 8080}, startPeriod: 1h}\n        environment: {FIXTURE_NEVER_HEALTHY: \"true\"}\n")))
	w.awaitEvent(t, scope, "that web is under way", func(e schemas.Event) bool {
		return e.Type == schemas.StatusResourceCreating && e.Resource.Resource == "web"
	})
	id := workflows.DeployID(scope, 1)
	require.NoError(t, w.client.CancelWorkflow(t.Context(), id, ""))
	end := w.requireEnd(t, scope, 1, schemas.StatusDeploymentCancelled)
	require.Equal(t, "Cancelled", end.Deployment.Error.Kind)
	w.settle(t, scope)

	run, err := w.client.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_CANCELED, run.WorkflowExecutionInfo.Status)
	all, err := objectsOf(t.Context(), newEngine(t), scope.Environment)
	require.NoError(t, err)
	for _, o := range all {
		require.NotEmpty(t, o.labels, "%s %s cannot be found by labels", o.kind, o.name)
	}
	// What was done until then is found and removed; nothing comes after it.
	w.destroy(t, scope)
	w.requireEnd(t, scope, 2, schemas.StatusDeploymentSucceeded)
	w.settle(t, scope)
	requireObjects(t, scope.Environment)
}
