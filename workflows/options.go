package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
)

const (
	// operationTimeout bounds one operation on one resource, retries not counted.
	// It is long since an image may be large and a database slow to start; the
	// health check's own deadline ends what is hopeless much earlier.
	operationTimeout = time.Hour
	// watchTimeout is how long one attempt to watch lasts at most; the next goes on.
	watchTimeout = 24 * time.Hour
	// planTimeout bounds one observation of everything that an Infrastructure has.
	planTimeout = 5 * time.Minute
	// publishTimeout bounds one batch of status events. The activity does not
	// heartbeat, so this is also how long a worker that died holds the events up.
	publishTimeout = 10 * time.Second
	// parallelism bounds the operations of one deployment that run at a time.
	// Providers bound what their host can take by themselves; this one keeps a
	// workflow far below Temporal's limit of 2,000 pending activities.
	parallelism = 100
	// orderAttempts is how often an order is tried, within some seconds.
	orderAttempts = 5
	// largePlan is from how many operations on a plan runs in batches, and batches is
	// how many of them run at a time.
	largePlan = 200
	batches   = 8
)

// retries waits out what a retry can mend, without limit: the activity decides
// which failures are permanent.
func retries(longest time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: longest}
}

// operationOptions are those of an activity that moves or observes resources. The
// summary shows in the web UI.
func operationOptions(ctx workflow.Context, timeout time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: timeout,
		HeartbeatTimeout:    activities.HeartbeatTimeout,
		WaitForCancellation: true,
		RetryPolicy:         retries(30 * time.Second),
		Summary:             summary,
	})
}

// orderOptions are those of an activity for which everything else of its
// Infrastructure waits: where a few attempts do not help, the order is refused.
func orderOptions(ctx workflow.Context, summary string) workflow.Context {
	policy := retries(2 * time.Second)
	policy.MaximumAttempts = orderAttempts
	return workflow.WithRetryPolicy(operationOptions(ctx, planTimeout, summary), *policy)
}

// watchOptions are those of an activity that returns when something has happened,
// which may take for ever. Nobody waits for it to end once it is of no interest.
func watchOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           activities.WatchQueue,
		StartToCloseTimeout: watchTimeout,
		HeartbeatTimeout:    activities.HeartbeatTimeout,
		RetryPolicy:         retries(30 * time.Second),
		Summary:             summary,
	})
}

// publishOptions are those of an activity that talks to the bus only. NATS may be
// away for long; the events wait.
func publishOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: publishTimeout,
		RetryPolicy:         retries(5 * time.Second),
		Summary:             summary,
	})
}
