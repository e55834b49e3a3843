package deployment

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"windlass/events"
	"windlass/workflows"
)

const latencyRounds = 30

// plain is the least that Temporal does between a request and its first activity.
func plain(ctx workflow.Context) (int64, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var at int64
	err := workflow.ExecuteActivity(ctx, now).Get(ctx, &at)
	return at, err
}

func now(context.Context) (int64, error) { return time.Now().UnixNano(), nil }

// BenchmarkPublishToFirstProviderCall compares the way from a published command to
// the first call of the container engine with the way from ExecuteWorkflow to the
// first activity on the same server, in turn. It shows each hop.
func BenchmarkPublishToFirstProviderCall(b *testing.B) {
	s := start(b)
	s.startWorker(b)
	w := worker.New(s.temporal, "plain", worker.Options{})
	w.RegisterWorkflow(plain)
	w.RegisterActivity(now)
	require.NoError(b, w.Start())
	b.Cleanup(w.Stop)
	follower := s.follow(b, "latency")
	for range 3 { // the first ones load code and fill caches
		s.plainLatency(b)
		s.deployLatency(b, follower.Next)
	}
	for b.Loop() {
		var plainTimes, windlassTimes []time.Duration
		hops := map[string][]time.Duration{}
		for range latencyRounds {
			plainTimes = append(plainTimes, s.plainLatency(b))
			total, parts := s.deployLatency(b, follower.Next)
			windlassTimes = append(windlassTimes, total)
			for name, part := range parts {
				hops[name] = append(hops[name], part)
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(median(plainTimes)), "ms-plain")
		b.ReportMetric(milliseconds(median(windlassTimes)), "ms-windlass")
		b.ReportMetric(float64(median(windlassTimes))/float64(median(plainTimes)), "ratio")
		for _, name := range hopNames {
			b.ReportMetric(milliseconds(median(hops[name])), "ms-hop-"+name)
		}
	}
}

func (s *bench) plainLatency(b *testing.B) time.Duration {
	b.Helper()
	begun := time.Now()
	run, err := s.temporal.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{TaskQueue: "plain"}, plain)
	require.NoError(b, err)
	var at int64
	require.NoError(b, run.Get(b.Context(), &at))
	return time.Unix(0, at).Sub(begun)
}

var hopNames = []string{"1-publish-to-signal", "2-signal-to-child", "3-child-to-plan-scheduled", "4-scheduled-to-started", "5-started-to-engine"}

// deployLatency deploys an empty document to an Infrastructure that exists.
func (s *bench) deployLatency(b *testing.B, next func(context.Context) (events.Status, error)) (time.Duration, map[string]time.Duration) {
	b.Helper()
	s.firstCall.Store(0)
	begun := time.Now()
	command := s.deploy(b, "latency", 0)
	var revision int
	for done := false; !done; {
		event, err := next(b.Context())
		require.NoError(b, err)
		done = event.CausationID == command && event.Deployment != nil && event.Deployment.Final
		if done {
			revision = event.Deployment.Revision
		}
	}
	first := time.Unix(0, s.firstCall.Load())
	scope := s.scope("latency")
	signalled := s.times(b, workflows.InfrastructureID(scope), enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	deploy := workflows.DeployID(scope, revision)
	child := s.times(b, deploy, enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)[0]
	scheduled := s.times(b, deploy, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)[0]
	started := s.times(b, deploy, enums.EVENT_TYPE_ACTIVITY_TASK_STARTED)[0]
	signal := signalled[len(signalled)-1]
	return first.Sub(begun), map[string]time.Duration{
		hopNames[0]: signal.Sub(begun), hopNames[1]: child.Sub(signal), hopNames[2]: scheduled.Sub(child),
		hopNames[3]: started.Sub(scheduled), hopNames[4]: first.Sub(started),
	}
}

// times are when the events of one type happened in a run.
func (s *bench) times(b *testing.B, workflowID string, eventType enums.EventType) []time.Time {
	b.Helper()
	var found []time.Time
	history := s.temporal.GetWorkflowHistory(b.Context(), workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(b, err)
		if event.EventType == eventType {
			found = append(found, event.EventTime.AsTime())
		}
	}
	require.NotEmpty(b, found, fmt.Sprintf("%s has no %s", workflowID, eventType))
	return found
}
