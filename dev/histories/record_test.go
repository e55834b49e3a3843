package histories

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"windlass/workflows"
)

var record = flag.Bool("record", false, "write the histories down, for releases only: an old history must go on to replay")

// recorded is where the replay test of the workflows reads the histories of this
// version. Recording anew is for a new version, in a directory of its own.
var recorded = filepath.Join("..", "..", "workflows", "testdata", "histories", "v1")

func TestRecord(t *testing.T) {
	s := newStage(t, 0)
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(name, func(t *testing.T) {
			c := s.newScene(t)
			revisions := scenarios[name](c)
			files := map[string]*history.History{}
			for revision := range revisions {
				file := fmt.Sprintf("%s-rev-%d", name, revision+1)
				files[file] = c.ended(workflows.DeployID(c.scope, revision+1))
				rollout := workflows.RolloutID(c.scope, revision+1, "web")
				if _, err := c.temporal.DescribeWorkflowExecution(c.context(), rollout, ""); err == nil {
					files[file+"-web"] = c.ended(rollout)
				}
			}
			if revisions == 0 {
				files[name] = c.ended(workflows.ContainerID(c.scope))
			} else {
				files[name+"-infrastructure"] = c.idle(workflows.InfrastructureID(c.scope), revisions)
			}
			for file, events := range files {
				replay(t, c, events)
				if *record {
					write(t, file, events)
				}
			}
		})
	}
}

// On servers that suggest a new run early, a rollout goes on in several.
func TestRecordNewRuns(t *testing.T) {
	c := newStage(t, 30).newScene(t)
	revisions := balanced(c)
	rollout := workflows.RolloutID(c.scope, revisions, "web")
	c.ended(rollout)
	runs := c.runs(rollout)
	require.Greater(t, len(runs), 2)
	for n, run := range runs {
		replay(t, c, run)
		if *record {
			write(t, fmt.Sprintf("continued-rev-%d-web-run-%d", revisions, n+1), run)
		}
	}
}

// runs are the histories of a workflow's runs, of which each went on in the next.
func (c *scene) runs(id string) []*history.History {
	c.t.Helper()
	newest, err := c.temporal.DescribeWorkflowExecution(c.context(), id, "")
	require.NoError(c.t, err)
	var runs []*history.History
	for run := newest.WorkflowExecutionInfo.FirstRunId; run != ""; {
		whole := c.history(id, run)
		runs = append(runs, whole)
		run = whole.Events[len(whole.Events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return runs
}

// ended is the history of a run that has told its end.
func (c *scene) ended(id string) *history.History {
	c.t.Helper()
	// How it ended is told by the events.
	_ = c.temporal.GetWorkflow(c.context(), id, "").Get(c.context(), nil)
	return c.history(id, "")
}

// idle is the history of an Infrastructure that has seen the end of its deployments
// and waits.
func (c *scene) idle(id string, revisions int) *history.History {
	c.t.Helper()
	var whole *history.History
	require.Eventually(c.t, func() bool {
		whole = c.history(id, "")
		closed := 0
		for _, e := range whole.Events {
			switch e.EventType {
			case enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED, enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
				closed++
			}
		}
		last := whole.Events[len(whole.Events)-1].EventType
		atRest := last == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED || last == enums.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
		return closed == revisions && atRest
	}, patience, 50*time.Millisecond, "the infrastructure does not come to rest")
	return whole
}

// history is that of a run, of the newest where none is named.
func (c *scene) history(id, run string) *history.History {
	c.t.Helper()
	whole := &history.History{}
	iterator := c.temporal.GetWorkflowHistory(c.context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iterator.HasNext() {
		e, err := iterator.Next()
		require.NoError(c.t, err)
		whole.Events = append(whole.Events, e)
	}
	return whole
}

// replay checks that the code that made a history takes the same way again.
func replay(t *testing.T, c *scene, whole *history.History) {
	t.Helper()
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.Infrastructure, workflow.RegisterOptions{Name: workflows.NameInfrastructure})
	replayer.RegisterWorkflowWithOptions(workflows.Deploy, workflow.RegisterOptions{Name: workflows.NameDeploy})
	replayer.RegisterWorkflowWithOptions(workflows.Rollout, workflow.RegisterOptions{Name: workflows.NameRollout})
	replayer.RegisterWorkflowWithOptions(workflows.ContainerLifecycle, workflow.RegisterOptions{Name: workflows.NameContainer})
	require.NoError(t, replayer.ReplayWorkflowHistory(c.logger, whole))
}

func write(t *testing.T, name string, whole *history.History) {
	t.Helper()
	for _, e := range whole.Events {
		// The queue of one worker is named after its host, which is nobody's business.
		if queue := e.GetWorkflowTaskScheduledEventAttributes().GetTaskQueue(); queue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
			queue.Name = "sticky"
		}
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(whole)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(recorded, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(recorded, name+".json"), append(text, '\n'), 0o644))
}
