package workflows

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = 60 * time.Second

var users = schemas.Scope{Environment: "staging", Infrastructure: "users"}

// world stands in for the activities. It remembers what it was asked for, and does
// otherwise what the functions say.
type world struct {
	*testsuite.TestWorkflowEnvironment
	mutex     sync.Mutex
	plans     map[int]activities.PlanOutput
	asked     []string
	published []schemas.Event
	rejected  []activities.RejectInput
	running   int
	most      int
	batches   [][]string

	apply   func(ctx context.Context, in activities.ApplyInput) error
	pull    func(in activities.PullInput) error
	remove  func(in activities.DeleteInput) error
	publish func(batch []schemas.Event) error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	w := &world{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), plans: map[int]activities.PlanOutput{}}
	w.SetTestTimeout(patience)
	for name, function := range map[string]any{
		activities.NamePlan: w.planning, activities.NamePull: w.pulling, activities.NameApply: w.applying,
		activities.NameDelete: w.deleting, activities.NamePublish: w.publishing, activities.NameReject: w.rejecting,
		activities.NameBatch: w.batching,
	} {
		w.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
	w.RegisterWorkflowWithOptions(Infrastructure, workflow.RegisterOptions{Name: NameInfrastructure})
	return w
}

func (w *world) note(asked string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.asked = append(w.asked, asked)
}

func (w *world) did(asked string) bool { return slices.Contains(w.all(), asked) }

func (w *world) all() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.asked)
}

func (w *world) planning(_ context.Context, in activities.PlanInput) (activities.PlanOutput, error) {
	w.note("plan " + string(rune('0'+in.Revision.Number)))
	plan, ok := w.plans[in.Revision.Number]
	if !ok {
		return plan, fault(activities.NotFound, "", "the revision is gone")
	}
	return plan, nil
}

func (w *world) pulling(_ context.Context, in activities.PullInput) error {
	if w.pull != nil {
		if err := w.pull(in); err != nil {
			return err
		}
	}
	w.note("pull " + in.Image)
	return nil
}

func (w *world) applying(ctx context.Context, in activities.ApplyInput) (activities.ApplyOutput, error) {
	w.mutex.Lock()
	w.running++
	w.most = max(w.most, w.running)
	w.mutex.Unlock()
	defer func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.running--
	}()
	if w.apply != nil {
		if err := w.apply(ctx, in); err != nil {
			return activities.ApplyOutput{}, err
		}
	}
	w.note("apply " + in.Resource + " of " + string(rune('0'+in.Revision.Number)))
	return activities.ApplyOutput{Outputs: schemas.Outputs{"name": "users-" + in.Resource}}, nil
}

// batching does what the operations of a batch would do by themselves.
func (w *world) batching(ctx context.Context, in activities.BatchInput) (activities.BatchOutput, error) {
	var out activities.BatchOutput
	var ids []string
	for _, o := range in.Operations {
		ids = append(ids, o.ID)
		var result activities.BatchResult
		var err error
		if o.Action == schemas.ActionDelete {
			err = w.deleting(ctx, activities.DeleteInput{Resource: o.Resource})
		} else {
			var applied activities.ApplyOutput
			applied, err = w.applying(ctx, activities.ApplyInput{Revision: in.Revision, Resource: o.Resource})
			result.Outputs = applied.Outputs
		}
		if err != nil {
			failure := activities.FailureOf(err)
			result.Failure = &failure
		}
		out.Results = append(out.Results, result)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.batches = append(w.batches, ids)
	return out, nil
}

func (w *world) deleting(_ context.Context, in activities.DeleteInput) error {
	if w.remove != nil {
		if err := w.remove(in); err != nil {
			return err
		}
	}
	w.note("delete " + in.Resource)
	return nil
}

func (w *world) publishing(_ context.Context, in activities.PublishInput) error {
	if w.publish != nil {
		if err := w.publish(in.Events); err != nil {
			return err
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.published = append(w.published, in.Events...)
	return nil
}

func (w *world) rejecting(_ context.Context, in activities.RejectInput) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.rejected = append(w.rejected, in)
	return nil
}

// await waits inside an activity until the condition holds.
func (w *world) await(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience/2, time.Millisecond, what)
}

// told are the published events in short: type and, for resources, the name.
func (w *world) told() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	told := make([]string, len(w.published))
	for i, e := range w.published {
		told[i] = schemas.ShortType(e.Type)
		if e.Resource != nil {
			told[i] += " " + e.Resource.Resource
		}
	}
	return told
}

// last is the newest published event of that type.
func (w *world) last(t *testing.T, eventType string) schemas.Event {
	t.Helper()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, e := range slices.Backward(w.published) {
		if e.Type == eventType {
			return e
		}
	}
	require.Failf(t, "no such event", "%s was not published", eventType)
	return schemas.Event{}
}

// fault is an activity's error as the activities make it.
func fault(kind activities.FaultKind, resource, message string) error {
	failure := schemas.Failure{Kind: string(kind), Resource: resource, Message: message}
	return failed(failure)
}

func failed(failure schemas.Failure) error {
	return temporal.NewApplicationErrorWithOptions(failure.Message, failure.Kind, temporal.ApplicationErrorOptions{
		NonRetryable: activities.FaultKind(failure.Kind).Permanent(), Details: []any{failure},
	})
}

// create is an operation that makes a Network after others.
func create(name string, after ...string) schemas.Operation {
	o := schemas.Operation{ID: "create " + name, Action: schemas.ActionCreate, Resource: name, Type: schemas.TypeNetwork, Provider: "docker", Cause: "is declared and not there"}
	for _, a := range after {
		o.DependsOn = append(o.DependsOn, "create "+a)
	}
	return o
}

func remove(name string, after ...string) schemas.Operation {
	return schemas.Operation{ID: "delete " + name, Action: schemas.ActionDelete, Resource: name, Type: schemas.TypeNetwork, Provider: "docker", Cause: "is no longer declared", DependsOn: after}
}

func planOf(policy schemas.FailurePolicy, operations ...schemas.Operation) activities.PlanOutput {
	out := activities.PlanOutput{Operations: operations, OnFailure: policy, Summary: "something to do", Resources: map[string][]string{}}
	for _, o := range operations {
		out.Resources[o.Resource] = o.DependsOn
	}
	return out
}

// command is the n-th deployment command.
func command(n int) schemas.CommandReference {
	letter := string(rune('a' + n))
	return schemas.CommandReference{
		Scope: users, Type: schemas.CommandDeploymentRequested, Key: "key-" + letter, Sequence: uint64(n), Time: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC), ID: "id-" + letter, Source: "/test",
		TraceParent: "00-trace-01", Revision: "document-" + letter,
	}
}

// deploy runs a deployment of revision 2.
func (w *world) deploy(stable int) error {
	in := DeployInput{Command: command(1), Revision: activities.Revision{Number: 2, Reference: "document-b"}, Stable: activities.Revision{Number: stable}}
	if stable > 0 {
		in.Stable.Reference = "document-a"
	}
	return w.run(in)
}

func (w *world) run(in DeployInput) error {
	w.RegisterWorkflowWithOptions(Deploy, workflow.RegisterOptions{Name: NameDeploy})
	w.ExecuteWorkflow(NameDeploy, in)
	if !w.IsWorkflowCompleted() {
		return context.DeadlineExceeded
	}
	return w.GetWorkflowError()
}

// requireType checks the type of the error that a deployment ended with.
func requireType(t *testing.T, err error, errorType string) {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, errorType, application.Type())
}

// requireStory checks what holds for the events of every run: identities differ,
// sequences rise per source, and everything points at its cause.
func (w *world) requireStory(t *testing.T) {
	t.Helper()
	ids, sequences := map[string]bool{}, map[string]string{}
	for _, e := range w.published {
		require.False(t, ids[e.ID], "%s has the id of another event", e.Type)
		require.Greater(t, e.Sequence, sequences[e.Source], "%s of %s", e.Type, e.Source)
		require.NotEmpty(t, e.CausationID)
		require.Equal(t, "00-trace-01", e.TraceParent)
		require.False(t, e.Time.IsZero())
		ids[e.ID], sequences[e.Source] = true, e.Sequence
	}
}
