package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/events"
	"windlass/workflows"
)

const (
	// startTimeout bounds how long a worker waits for the servers at its start.
	startTimeout = 30 * time.Second
	// stopTimeout is how long running activities have to come to an end when the
	// worker stops; what does not is taken up again by the next worker.
	stopTimeout = 5 * time.Second
	// watchParallelism is how many containers one worker watches. Each costs it a
	// goroutine and a connection to its engine.
	watchParallelism = 10_000
)

// Run runs a worker until the context ends, and returns nil then. An error says
// what is missing at the start, or what broke for good later.
func Run(ctx context.Context, c Config) error {
	key, err := LoadMasterKey(c.MasterKeyFile)
	if err != nil {
		return err
	}
	vault, err := activities.NewVault(key, c.SecretsDir)
	if err != nil {
		return err
	}
	providers, err := openFleet(c)
	if err != nil {
		return err
	}
	defer func() { _ = providers.close() }()
	conn, err := events.Connect(c.NATSURL, events.ConnectOptions{Name: "windlass-worker", Credentials: c.NATSCredentials, Timeout: startTimeout, Logger: c.Logger})
	if err != nil {
		return err
	}
	defer conn.Close()
	temporal, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer temporal.Close()
	restoring, stop := context.WithCancel(ctx)
	defer stop()
	providers.restore(restoring, c)
	w, err := assemble(ctx, c, conn, temporal, vault, providers)
	if err != nil {
		return err
	}
	return w.run(ctx)
}

func dial(ctx context.Context, c Config) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	temporal, err := client.DialContext(ctx, client.Options{
		HostPort: c.TemporalAddress, Namespace: c.Namespace, Identity: "windlass-worker", DataConverter: DataConverter(),
		Logger: log.NewStructuredLogger(c.Logger),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal at %s: %w", c.TemporalAddress, err)
	}
	if err := ensureSearchAttributes(ctx, temporal, c.Namespace); err != nil {
		temporal.Close()
		return nil, fmt.Errorf("search attributes of Temporal namespace %q: %w", c.Namespace, err)
	}
	return temporal, nil
}

type runner struct {
	config  Config
	conn    *nats.Conn
	worker  sdk.Worker
	watcher sdk.Worker
	trigger *events.Trigger
	queries *queries
	fatal   chan error
}

func assemble(ctx context.Context, c Config, conn *nats.Conn, temporal client.Client, vault *activities.Vault, providers *fleet) (*runner, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	if err := events.EnsureStreams(ctx, js); err != nil {
		return nil, fmt.Errorf("prepare NATS at %s: %w", c.NATSURL, err)
	}
	records, err := events.OpenRecords(ctx, js)
	if err != nil {
		return nil, err
	}
	revisions, err := events.OpenRevisions(ctx, js)
	if err != nil {
		return nil, err
	}
	protections, err := events.OpenProtections(ctx, js)
	if err != nil {
		return nil, err
	}
	places, err := events.OpenPlaces(ctx, js)
	if err != nil {
		return nil, err
	}
	publisher := events.NewPublisher(js, records)
	planner := &activities.Planner{Providers: providers.providers, Protections: protections, Places: places, Records: records, Logger: c.Logger}
	r := &runner{config: c, conn: conn, fatal: make(chan error, 2)}
	r.worker = sdk.New(temporal, TaskQueue, sdk.Options{
		WorkerStopTimeout:                stopTimeout,
		MaxHeartbeatThrottleInterval:     activities.HeartbeatInterval,
		DefaultHeartbeatThrottleInterval: activities.HeartbeatInterval,
		OnFatalError:                     func(err error) { r.fatal <- err },
	})
	r.worker.RegisterWorkflowWithOptions(workflows.Infrastructure, workflow.RegisterOptions{Name: workflows.NameInfrastructure})
	r.worker.RegisterWorkflowWithOptions(workflows.Deploy, workflow.RegisterOptions{Name: workflows.NameDeploy})
	r.worker.RegisterWorkflowWithOptions(workflows.Drift, workflow.RegisterOptions{Name: workflows.NameDrift})
	r.worker.RegisterWorkflowWithOptions(workflows.Rollout, workflow.RegisterOptions{Name: workflows.NameRollout})
	r.worker.RegisterWorkflowWithOptions(workflows.ContainerLifecycle, workflow.RegisterOptions{Name: workflows.NameContainer})
	effects := &activities.Activities{
		Planner: planner, Records: records, Revisions: revisions, Publisher: publisher, JetStream: js, Vault: vault, Logger: c.Logger,
		Watches: &watches{temporal: temporal}, Approvals: c.Approvals,
	}
	effects.Register(r.worker)
	r.watcher = sdk.New(temporal, activities.WatchQueue, sdk.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: watchParallelism,
		MaxHeartbeatThrottleInterval:     activities.HeartbeatInterval,
		DefaultHeartbeatThrottleInterval: activities.HeartbeatInterval,
		OnFatalError:                     func(err error) { r.fatal <- err },
	})
	effects.RegisterWatches(r.watcher)
	starter := &starter{temporal: temporal, records: records}
	r.trigger = events.NewTrigger(js, publisher, revisions, starter, c.Logger)
	r.queries = &queries{records: records, revisions: revisions, planner: planner, kinds: providers.kinds, effects: effects, logger: c.Logger}
	return r, nil
}

// run starts everything in the order in which the parts need each other, and ends
// it in the reverse order: no new commands, no new questions, then the activities.
func (r *runner) run(ctx context.Context) error {
	if err := r.worker.Start(); err != nil {
		return fmt.Errorf("start the Temporal worker: %w", err)
	}
	defer r.worker.Stop()
	if err := r.watcher.Start(); err != nil {
		return fmt.Errorf("start the Temporal worker of watches: %w", err)
	}
	defer r.watcher.Stop()
	service, err := r.queries.serve(r.conn)
	if err != nil {
		return err
	}
	defer func() { _ = service.Stop() }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- r.trigger.Run(ctx) }()
	if r.config.Ready != nil {
		r.config.Ready()
	}
	select {
	case err := <-served:
		return err
	case err := <-r.fatal:
		cancel()
		return errors.Join(fmt.Errorf("the Temporal worker stopped: %w", err), <-served)
	}
}
