package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"windlass/dev/stack"
)

func TestADataDirectoryBelongsToOneStack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, stack.Config{DataDir: dir})

	_, err := stack.Start(t.Context(), stack.Config{DataDir: dir})
	var locked *stack.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, os.Getpid(), locked.PID)
	require.EqualError(t, err, fmt.Sprintf(
		"data directory %s is in use by process %d: stop that one, or choose another directory", dir, os.Getpid()))

	require.NoError(t, stop(first))
	start(t, stack.Config{DataDir: dir})
}

func TestDataOfAnotherServerVersionIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(t *testing.T, versionFile string)
		says   string
	}{
		"an earlier version": {
			damage: func(t *testing.T, versionFile string) {
				require.NoError(t, os.WriteFile(versionFile, []byte("1.20.3\n"), 0o600))
			},
			says: "Temporal server 1.20.3",
		},
		"no version": {
			damage: func(t *testing.T, versionFile string) { require.NoError(t, os.Remove(versionFile)) },
			says:   "an unknown Temporal server version",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, stop(start(t, stack.Config{DataDir: dir})))
			c.damage(t, filepath.Join(dir, "temporal", "server-version"))

			_, err := stack.Start(t.Context(), stack.Config{DataDir: dir})
			var version *stack.VersionError
			require.ErrorAs(t, err, &version)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "remove "+filepath.Join(dir, "temporal"))
			require.FileExists(t, filepath.Join(dir, "temporal", "temporal.db"))
		})
	}
}

func TestAStartThatWasKilledWhileItMadeTheDatabaseIsRepeated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	temporalDir := filepath.Join(dir, "temporal")
	require.NoError(t, os.MkdirAll(temporalDir, 0o700))
	for file, content := range map[string]string{"unfinished": "", "server-version": "1.0.0", "temporal.db": "half a database"} {
		require.NoError(t, os.WriteFile(filepath.Join(temporalDir, file), []byte(content), 0o600))
	}
	start(t, stack.Config{DataDir: dir})
	require.NoFileExists(t, filepath.Join(temporalDir, "unfinished"))
	content, err := os.ReadFile(filepath.Join(temporalDir, "server-version"))
	require.NoError(t, err)
	require.NotEqual(t, "1.0.0", strings.TrimSpace(string(content)))
}

func TestWorkflowsAreFoundByTheirSearchAttributes(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{DataDir: t.TempDir()})
	c := dialTemporal(t, s)
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID:        "infrastructure/staging/users/rev-3",
		TaskQueue: taskQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword("WindlassEnvironment").ValueSet("staging"),
			temporal.NewSearchAttributeKeyKeyword("WindlassInfrastructure").ValueSet("users"),
			temporal.NewSearchAttributeKeyInt64("WindlassRevision").ValueSet(3),
			temporal.NewSearchAttributeKeyKeyword("WindlassStatus").ValueSet("running"),
		),
	}, awaitSignal)
	require.NoError(t, err)

	requireFound(t, c, `WindlassEnvironment = "staging" AND WindlassInfrastructure = "users" AND WindlassRevision >= 3 AND WindlassStatus = "running"`)
	none, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: `WindlassRevision < 3`})
	require.NoError(t, err)
	require.Zero(t, none.GetCount())
}

func TestSearchAttributesThatADataDirectoryLacksAreAdded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, stack.Config{DataDir: dir})
	_, err := dialTemporal(t, first).OperatorService().RemoveSearchAttributes(t.Context(),
		&operatorservice.RemoveSearchAttributesRequest{
			Namespace:        first.Namespace(),
			SearchAttributes: []string{"WindlassStatus", "WindlassRevision"},
		})
	require.NoError(t, err)
	require.NoError(t, stop(first))

	second := start(t, stack.Config{DataDir: dir})
	c := dialTemporal(t, second)
	present, err := c.OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: second.Namespace()})
	require.NoError(t, err)
	require.Equal(t, map[string]enumspb.IndexedValueType{
		"WindlassEnvironment":    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"WindlassInfrastructure": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"WindlassRevision":       enumspb.INDEXED_VALUE_TYPE_INT,
		"WindlassStatus":         enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}, present.GetCustomAttributes())

	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID:        "with-new-attribute",
		TaskQueue: taskQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword("WindlassStatus").ValueSet("running")),
	}, awaitSignal)
	require.NoError(t, err)
	requireFound(t, c, `WindlassStatus = "running"`)
}

func TestTheNamespaceKeepsClosedWorkflowsForAWeek(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Config{DataDir: t.TempDir()})
	described, err := dialTemporal(t, s).WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: s.Namespace()})
	require.NoError(t, err)
	require.Equal(t, 7*24.0, described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration().Hours())
}

// requireFound waits until exactly one workflow answers to the query: the index follows the workflow.
func requireFound(t *testing.T, c client.Client, query string) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		found, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		require.NoError(collect, err)
		require.Equal(collect, int64(1), found.GetCount())
	}, 2*time.Minute, 20*time.Millisecond)
}
