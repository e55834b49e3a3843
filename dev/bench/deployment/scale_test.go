package deployment

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/ledger"
	"windlass/events"
	"windlass/schemas"
	"windlass/worker"
	"windlass/workflows"
)

// sizes are the numbers of resources, of which each ten make a chain.
var sizes = []int{1000, 10_000}

const chain = 10

// large is a document of resources that do nothing but be recorded.
func large(scope schemas.Scope, n int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: %s}\nspec:\n  environment: %s\n  provider: ledger\n  resources:\n", scope.Infrastructure, scope.Environment)
	for i := range n {
		fmt.Fprintf(&text, "  - {name: r%d, type: Storage", i)
		if i%chain > 0 {
			fmt.Fprintf(&text, ", dependsOn: [r%d]", i-1)
		}
		text.WriteString("}\n")
	}
	return text.String()
}

// terraform is the same graph for OpenTofu.
func terraform(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "resource \"terraform_data\" \"r%d\" {\n", i)
		if i%chain > 0 {
			fmt.Fprintf(&text, "  depends_on = [terraform_data.r%d]\n", i-1)
		}
		text.WriteString("}\n")
	}
	return text.String()
}

// BenchmarkScale deploys graphs of resources that only record themselves, from the
// publishing of the command to the event of its success, against OpenTofu applying
// the same graph.
func BenchmarkScale(b *testing.B) {
	tofu := openTofu(b)
	s := start(b)
	l, err := ledger.Open(filepath.Join(b.TempDir(), "ledger"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	s.startWorkerWith(b, func(c *worker.Config) { c.Providers = activities.Providers{"ledger": l} })
	for _, n := range sizes {
		theirs := apply(b, tofu, n)
		scope := s.scope(fmt.Sprintf("large-%d", n))
		began := time.Now()
		s.publish(b, scope, schemas.CommandDeploymentRequested, map[string]any{"document": large(scope, n)})
		s.requireSuccess(b, scope, 1)
		ours := time.Since(began)
		began = time.Now()
		s.publish(b, scope, schemas.CommandDeploymentRequested, map[string]any{"document": large(scope, n)})
		s.requireSuccess(b, scope, 2)
		again := time.Since(began)
		history, bytes := s.history(b, workflows.DeployID(scope, 1))
		b.Logf("%6d resources: deployed in %.1f s (OpenTofu applies in %.1f s), again with nothing to do in %.1f s; history of %d events, %.1f MiB",
			n, ours.Seconds(), theirs.Seconds(), again.Seconds(), history, float64(bytes)/(1<<20))
		b.ReportMetric(ours.Seconds()/theirs.Seconds(), fmt.Sprintf("x-OpenTofu-%d", n))
	}
}

// openTofu builds OpenTofu from its module; the result is kept in the user's cache.
func openTofu(b *testing.B) string {
	b.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(b, err)
	path := filepath.Join(cache, "windlass", "opentofu", "tofu")
	build := exec.Command("go", "build", "-o", path, "github.com/opentofu/opentofu/cmd/tofu")
	build.Dir = "../opentofu"
	output, err := build.CombinedOutput()
	require.NoError(b, err, "%s", output)
	return path
}

// apply has OpenTofu apply the graph in a new directory, and returns how long it took.
func apply(b *testing.B, tofu string, n int) time.Duration {
	b.Helper()
	dir := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(dir, "main.tf"), []byte(terraform(n)), 0o600))
	run := func(arguments ...string) time.Duration {
		command := exec.Command(tofu, arguments...)
		command.Dir = dir
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		began := time.Now()
		require.NoError(b, command.Run(), "%s", output.Bytes())
		return time.Since(began)
	}
	run("init", "-input=false", "-no-color")
	return run("apply", "-auto-approve", "-input=false", "-no-color")
}

// requireSuccess waits for the end of a revision.
func (s *bench) requireSuccess(b *testing.B, scope schemas.Scope, revision int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	follower, err := events.Follow(ctx, s.js, events.FollowOptions{Scope: &scope, All: true, Types: []string{
		schemas.StatusDeploymentSucceeded, schemas.StatusDeploymentFailed, schemas.StatusDeploymentRolledBack, schemas.StatusCommandRejected,
	}})
	require.NoError(b, err)
	defer follower.Close()
	for {
		status, err := follower.Next(ctx)
		require.NoError(b, err)
		require.Nil(b, status.Command, "%+v", status.Command)
		if status.Deployment.Revision == revision {
			require.Equal(b, schemas.StatusDeploymentSucceeded, status.Type, "%+v", status.Deployment.Error)
			return
		}
	}
}

// history is the length of a run's history, in events and bytes.
func (s *bench) history(b *testing.B, workflowID string) (events, bytes int64) {
	b.Helper()
	run, err := s.temporal.DescribeWorkflowExecution(b.Context(), workflowID, "")
	require.NoError(b, err)
	info := run.WorkflowExecutionInfo
	return info.HistoryLength, info.HistorySizeBytes
}
