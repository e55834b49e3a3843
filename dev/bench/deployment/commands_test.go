package deployment

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"windlass/events"
	"windlass/schemas"
	"windlass/workflows"
)

const (
	commands = 400
	// idleQueue has no worker, so that only the acceptance is measured.
	idleQueue = "idle"
)

// BenchmarkCommandsAccepted compares commands per second from the stream of
// commands to the acknowledged signal with plain SignalWithStart calls per second
// from the same process, at the parallelism that is best for those.
func BenchmarkCommandsAccepted(b *testing.B) {
	s := start(b)
	records, err := events.OpenRecords(b.Context(), s.js)
	require.NoError(b, err)
	revisions, err := events.OpenRevisions(b.Context(), s.js)
	require.NoError(b, err)
	round, parallelism := 0, 0
	times := map[int]time.Duration{}
	for _, p := range []int{8, 16, 32, 64} {
		round++
		times[p] = s.signalAll(b, round, p)
		if parallelism == 0 || times[p] < times[parallelism] {
			parallelism = p
		}
	}
	for b.Loop() {
		var plainTimes, triggerTimes []time.Duration
		for range 5 {
			round++
			plainTimes = append(plainTimes, s.signalAll(b, round, parallelism))
			triggerTimes = append(triggerTimes, s.triggerAll(b, round, events.NewPublisher(s.js, records), revisions))
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(parallelism), "best-parallelism")
		b.ReportMetric(commands/median(plainTimes).Seconds(), "plain/s")
		b.ReportMetric(commands/median(triggerTimes).Seconds(), "commands/s")
		b.ReportMetric(float64(median(plainTimes))/float64(median(triggerTimes)), "ratio")
	}
}

func (s *bench) signal(ctx context.Context, command schemas.CommandReference) error {
	id := workflows.InfrastructureID(command.Scope)
	_, err := s.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalCommand, command,
		client.StartWorkflowOptions{ID: id, TaskQueue: idleQueue}, workflows.NameInfrastructure, workflows.InfrastructureInput{Scope: command.Scope})
	return err
}

func (s *bench) signalAll(b *testing.B, round, parallelism int) time.Duration {
	b.Helper()
	begun := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(parallelism)
	for i := range commands {
		group.Go(func() error {
			return s.signal(ctx, schemas.CommandReference{Scope: s.scope(fmt.Sprintf("plain-%d-%d", round, i)), Key: "k", Revision: "r"})
		})
	}
	require.NoError(b, group.Wait())
	return time.Since(begun)
}

// counter is the Starter of the benchmark: it signals and counts.
type counter struct {
	bench *bench
	left  atomic.Int64
	done  chan struct{}
}

func (c *counter) Start(ctx context.Context, command schemas.CommandReference) error {
	if err := c.bench.signal(ctx, command); err != nil {
		return err
	}
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
	return nil
}

// triggerAll measures commands that wait in the stream when the trigger starts.
func (s *bench) triggerAll(b *testing.B, round int, publisher *events.Publisher, revisions *events.Revisions) time.Duration {
	b.Helper()
	for i := range commands {
		s.deploy(b, fmt.Sprintf("command-%d-%d", round, i), 3)
	}
	starter := &counter{bench: s, done: make(chan struct{})}
	starter.left.Store(commands)
	trigger := events.NewTrigger(s.js, publisher, revisions, starter, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	begun := time.Now()
	go func() { ended <- trigger.Run(ctx) }()
	select {
	case <-starter.done:
	case err := <-ended:
		b.Fatal("the trigger ended early: ", err)
	}
	took := time.Since(begun)
	cancel()
	require.NoError(b, <-ended)
	return took
}
