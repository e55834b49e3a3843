// Package temporal_test measures what the embedded Temporal server costs: how much faster it is than with its stock
// settings, and how much memory the whole stack takes when nothing happens.
//
//	go test -run '^$' -bench . -benchtime 5x ./dev/bench/temporal
package temporal_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"windlass/dev/stack"
)

const (
	taskQueue = "bench"
	// steps are far more than the polls that the stock setting saves up while
	// nothing happens: it is what a chain costs that counts, not how it begins.
	steps = 60
	// rounds are how often each server is asked, in turn.
	rounds = 3
)

// sequence runs no-op activities one after the other, as a deployment of a chain of resources does.
func sequence(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
	})
	for range steps {
		if err := workflow.ExecuteActivity(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func nothing(context.Context) error { return nil }

// BenchmarkSequentialActivities compares the stack with Temporal's stock poll rate and with its own. Each iteration runs
// one workflow on each, in turn, so that both meet the same noise.
func BenchmarkSequentialActivities(b *testing.B) {
	stock := startServer(b, stack.StockTaskRate)
	own := startServer(b, stack.DefaultTaskRate)
	run(b, stock)
	run(b, own)

	var stockTimes, ownTimes []time.Duration
	for b.Loop() {
		for range rounds {
			stockTimes = append(stockTimes, run(b, stock))
			ownTimes = append(ownTimes, run(b, own))
		}
	}
	stockMedian, ownMedian := median(stockTimes), median(ownTimes)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(stockMedian)/steps, "ms-per-step-stock")
	b.ReportMetric(milliseconds(ownMedian)/steps, "ms-per-step-windlass")
	b.ReportMetric(float64(stockMedian)/float64(ownMedian), "times-faster")
}

func startServer(b *testing.B, taskRate int) client.Client {
	b.Helper()
	s, err := stack.Start(b.Context(), stack.Config{DataDir: b.TempDir(), TaskRate: taskRate})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Stop(context.Background())) })
	c, err := client.Dial(client.Options{
		HostPort:  s.TemporalAddress(),
		Namespace: s.Namespace(),
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(b, err)
	b.Cleanup(c.Close)
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflow(sequence)
	w.RegisterActivity(nothing)
	require.NoError(b, w.Start())
	b.Cleanup(w.Stop)
	return c
}

func run(b *testing.B, c client.Client) time.Duration {
	b.Helper()
	began := time.Now()
	execution, err := c.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{TaskQueue: taskQueue}, sequence)
	require.NoError(b, err)
	require.NoError(b, execution.Get(b.Context(), nil))
	return time.Since(began)
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
