package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"windlass/plan"
	"windlass/schemas"
)

func TestWhatAFailureMeansForRetries(t *testing.T) {
	permanent := func(kind FaultKind) error { return &Fault{Kind: kind, Message: "it fails"} }
	tests := map[string]struct {
		err error
		// succeedAt is the attempt that does not fail; 0 fails always.
		succeedAt int
		attempts  int
		kind      string
	}{
		"NotFound fails at once":                             {permanent(NotFound), 0, 1, "NotFound"},
		"Invalid fails at once":                              {permanent(Invalid), 0, 1, "Invalid"},
		"Conflict fails at once":                             {permanent(Conflict), 0, 1, "Conflict"},
		"Unauthorized fails at once":                         {permanent(Unauthorized), 0, 1, "Unauthorized"},
		"Unhealthy fails at once":                            {permanent(Unhealthy), 0, 1, "Unhealthy"},
		"a fault that is wrapped fails at once":              {fmt.Errorf("replica 2: %w", permanent(Conflict)), 0, 1, "Conflict"},
		"Unavailable is tried until it is available":         {permanent(Unavailable), 20, 20, ""},
		"an error that nobody knows is tried five times":     {errors.New("a surprise"), 0, 5, "Internal"},
		"an error that nobody knows may pass before that":    {errors.New("a surprise"), 5, 5, ""},
		"a cancellation of the engine's own is tried as any": {context.Canceled, 0, 5, "Internal"},
	}
	b := newBench(t, "")
	revision := b.revision(document)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b.provider.calls = 0
			b.provider.apply = func(context.Context, plan.Desired, Secrets, Progress) error {
				if b.provider.calls == test.succeedAt {
					return nil
				}
				return test.err
			}
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(b.Logger))
			environment := suite.NewTestWorkflowEnvironment()
			environment.SetTestTimeout(patience)
			b.Register(environment)
			environment.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
					StartToCloseTimeout: time.Hour, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1, MaximumAttempts: 100},
				})
				return workflow.ExecuteActivity(ctx, NameApply, ApplyInput{Scope: users, Revision: revision, Resource: "backend"}).Get(ctx, nil)
			}, workflow.RegisterOptions{Name: "apply"})
			environment.ExecuteWorkflow("apply")
			require.True(t, environment.IsWorkflowCompleted())
			err := environment.GetWorkflowError()
			require.Equal(t, test.attempts, b.provider.calls)
			if test.kind == "" {
				require.NoError(t, err)
				return
			}
			var application *temporal.ApplicationError
			require.ErrorAs(t, err, &application)
			require.Equal(t, test.kind, application.Type())
			require.Equal(t, test.kind, FailureOf(err).Kind)
			require.ErrorContains(t, err, "backend: ")
		})
	}
}

func TestAFailureSaysWhereInTheDocumentItLies(t *testing.T) {
	b := newBench(t, "")
	code := 3
	b.provider.apply = func(context.Context, plan.Desired, Secrets, Progress) error {
		return &Fault{Kind: Unhealthy, Field: "properties.environment.TOKEN", Message: "replica 0 exited", Hint: "look at its logs",
			Evidence: &schemas.Evidence{Container: "users-web-0", State: "Exited", ExitCode: &code, Logs: []string{"boom"}}}
	}
	failure, err := b.failure(NameApply, ApplyInput{Scope: users, Revision: b.revision(document), Resource: "web"})
	require.Equal(t, schemas.Failure{
		Kind: "Unhealthy", Resource: "web", Field: "spec.resources[2].properties.environment.TOKEN", Line: 18, Message: "replica 0 exited", Hint: "look at its logs",
		Evidence: &schemas.Evidence{Container: "users-web-0", State: "Exited", ExitCode: &code, Logs: []string{"boom"}},
	}, failure)
	require.ErrorContains(t, err, "web: spec.resources[2].properties.environment.TOKEN: replica 0 exited; look at its logs")

	b.provider.pull = func(context.Context, Image, Secrets) error { return &Fault{Kind: NotFound, Message: "does not exist"} }
	failure, _ = b.failure(NamePull, PullInput{Scope: users, Revision: b.revision(document), Resource: "web", Image: "windlass.local/users:1"})
	require.Equal(t, schemas.Failure{Kind: "NotFound", Resource: "web", Field: "spec.resources[2].properties.image", Line: 14, Message: "does not exist"}, failure)
}

func TestNoSecretLeavesAFailedActivity(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, "API_TOKEN"), []byte("very-secret-token\n"), 0o600))
	b := newBench(t, directory)
	secret := func(secrets Secrets, d plan.Desired) string {
		revealed, err := secrets.Reveal(string(d.Properties))
		require.NoError(t, err)
		require.Contains(t, revealed, "very-secret-token")
		return revealed
	}
	password := reveal(t, b.Vault.Open(users), "${generated.db.password}")
	failures := map[string]func(text string) error{
		"classified": func(text string) error {
			return &Fault{Kind: Unhealthy, Message: "got " + text, Hint: "use " + text, Err: errors.New("cause " + text),
				Evidence: &schemas.Evidence{Container: "c", Health: "said " + text, Logs: []string{"fine", "logged " + text}}}
		},
		"unavailable": func(text string) error {
			return &Fault{Kind: Unavailable, Message: "got " + text, Err: errors.New(text)}
		},
		"unknown": func(text string) error { return errors.New("got " + text) },
	}
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			b.provider.apply = func(_ context.Context, d plan.Desired, secrets Secrets, _ Progress) error {
				return fail(secret(secrets, d))
			}
			failure, err := b.failure(NameApply, ApplyInput{Scope: users, Revision: b.revision(document), Resource: "web"})
			require.Contains(t, failure.Message, "[redacted]")
			for where, text := range map[string]string{"error": err.Error(), "failure": fmt.Sprintf("%+v %+v", failure, failure.Evidence), "log": b.log.String()} {
				require.NotContains(t, text, "very-secret-token", where)
				require.NotContains(t, text, password, where)
			}
		})
	}
}

func TestACancelledActivityIsCancelledAndNotFailed(t *testing.T) {
	b := newBench(t, "")
	revision := b.revision(document)
	entered := make(chan struct{})
	b.provider.apply = func(ctx context.Context, _ plan.Desired, _ Secrets, _ Progress) error {
		close(entered)
		<-ctx.Done()
		return &Fault{Kind: Unavailable, Message: "the engine does not answer", Err: ctx.Err()}
	}
	var suite testsuite.WorkflowTestSuite
	environment := suite.NewTestWorkflowEnvironment()
	environment.SetTestTimeout(patience)
	b.Register(environment)
	environment.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, WaitForCancellation: true, HeartbeatTimeout: HeartbeatTimeout})
		return workflow.ExecuteActivity(ctx, NameApply, ApplyInput{Scope: users, Revision: revision, Resource: "backend"}).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "apply"})
	go func() {
		<-entered
		environment.CancelWorkflow()
	}()
	environment.ExecuteWorkflow("apply")
	require.True(t, temporal.IsCanceledError(environment.GetWorkflowError()), "%v", environment.GetWorkflowError())
}

func TestWhatWasBrokenOffIsTriedAgain(t *testing.T) {
	for _, cause := range []error{nil, errors.New("the heartbeat was not answered"), errors.New("the worker stops")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		for _, err := range []error{errors.New("a surprise"), &Fault{Kind: Conflict, Message: "half done"}} {
			require.Equal(t, context.Canceled, (&Activities{}).failed(ctx, Revision{}, NewSecretsNone(), err), "%v after %v", err, cause)
		}
	}
}

func TestFailureOfReadsErrorsOfEveryOrigin(t *testing.T) {
	details := schemas.Failure{Kind: "Conflict", Resource: "web", Message: "port 80 is taken"}
	tests := map[string]struct {
		err  error
		want schemas.Failure
	}{
		"an activity's":            {temporal.NewNonRetryableApplicationError("x", "Conflict", nil, details), details},
		"an activity's, wrapped":   {fmt.Errorf("run: %w", temporal.NewApplicationError("x", "Conflict", details)), details},
		"an error with no details": {temporal.NewApplicationError("boom", "X"), schemas.Failure{Kind: "Internal", Message: "boom"}},
		"a timeout":                {temporal.NewHeartbeatTimeoutError(), schemas.Failure{Kind: "Unavailable", Message: "it did not end in time (heartbeat timeout)"}},
		"any other":                {errors.New("boom"), schemas.Failure{Kind: "Internal", Message: "boom"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, FailureOf(test.err)) })
	}
}

func TestAFaultIsOneLine(t *testing.T) {
	cause := errors.New("cause")
	f := &Fault{Kind: NotFound, Resource: "web", Field: "properties.image", Message: "does not exist", Hint: "push it", Err: cause}
	require.EqualError(t, f, "web: properties.image: does not exist; push it")
	require.ErrorIs(t, f, cause)
	require.EqualError(t, &Fault{Message: "does not exist"}, "does not exist")
	require.False(t, IsKind(cause, NotFound))
}
