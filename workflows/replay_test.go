package workflows

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Every recorded history, of this release and of all before it, takes the same way
// through the code of today. `make histories` records those of a release.
func TestOldHistoriesReplayOnNewCode(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*", "*.json"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		found[name] = true
		t.Run(filepath.Base(filepath.Dir(file))+" "+name, func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(Infrastructure, workflow.RegisterOptions{Name: NameInfrastructure})
			replayer.RegisterWorkflowWithOptions(Deploy, workflow.RegisterOptions{Name: NameDeploy})
			replayer.RegisterWorkflowWithOptions(Rollout, workflow.RegisterOptions{Name: NameRollout})
			replayer.RegisterWorkflowWithOptions(ContainerLifecycle, workflow.RegisterOptions{Name: NameContainer})
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file))
		})
	}
	for _, scenario := range []string{"first-deploy", "update", "rollback", "rejected-image", "cancelled", "destroy", "queued-commands", "signal-duplicates", "approved", "paused", "drifted", "orders", "rolled", "returned", "balanced", "exchanged", "canary", "aborted", "superseded", "scaled"} {
		require.True(t, found[scenario+"-infrastructure"], "%s is not recorded", scenario)
		require.True(t, found[scenario+"-rev-1"], "%s is not recorded", scenario)
	}
	for _, other := range []string{
		"rolled-rev-2-web", "returned-rev-2-web", "balanced-rev-2-web", "exchanged-rev-2-web", "canary-rev-2-web", "aborted-rev-2-web",
		"superseded-rev-2-web", "superseded-rev-3-web", "continued-rev-2-web-run-1", "continued-rev-2-web-run-2",
		"contained", "supervised-rev-2-web", "supervised-return-rev-2-web",
	} {
		require.True(t, found[other], "%s is not recorded", other)
	}
}
