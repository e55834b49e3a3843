package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/temporal"
)

// readyTimeout is far above the fraction of a second that a server takes, so that it also comes up on a machine that has
// ten times more to do than it can.
const readyTimeout = 2 * time.Minute

type temporalServer struct {
	server   temporal.Server
	address  string
	stopping *atomic.Bool
}

func startTemporal(ctx context.Context, address *reservation, dir string, settings dynamicconfig.StaticClient, log *slog.Logger, fail func(error)) (*temporalServer, error) {
	db := database{dir: dir}
	if err := db.prepare(); err != nil {
		return nil, err
	}
	ports, err := pickInternalPorts()
	defer func() {
		for _, p := range ports.all() {
			p.close()
		}
	}()
	if err != nil {
		return nil, err
	}

	t := &temporalServer{address: address.dial(), stopping: &atomic.Bool{}}
	result := make(chan error, 1)
	finish := func(err error) {
		select {
		case result <- err:
		default:
		}
	}
	logger := &temporalLogger{
		log:      log.With("server", "temporal"),
		stopping: t.stopping,
		fail: func(err error) {
			finish(err)
			fail(err)
		},
	}
	options := []temporal.ServerOption{
		temporal.WithConfig(serverConfig(db, address, ports)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(address, ports)),
		temporal.WithDynamicConfigClient(settings),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
	}

	address.release()
	for _, p := range ports.all() {
		p.release()
	}
	// Its own goroutine, because one that the server ends with a fatal error never comes back.
	started := make(chan temporal.Server, 1)
	go func() {
		server, err := temporal.NewServer(options...)
		if err == nil {
			err = server.Start()
		}
		if err != nil {
			finish(fmt.Errorf("start the Temporal server: %w", err))
			return
		}
		started <- server
		finish(nil)
	}()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case err := <-result:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("start the Temporal server: %w", ctx.Err())
	}
	t.server = <-started
	if err := t.ready(ctx); err != nil {
		return nil, errors.Join(err, t.stop(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// pickInternalPorts finds three free ports on loopback. After an error some are nil.
func pickInternalPorts() (internalPorts, error) {
	var ports internalPorts
	for _, port := range []**reservation{&ports.history, &ports.matching, &ports.worker} {
		r, err := reserve("Temporal", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		*port = r
	}
	return ports, nil
}

// ready returns when the frontend answers, history owns its shard and the search attributes are there.
func (t *temporalServer) ready(ctx context.Context) error {
	c, err := client.NewLazyClient(client.Options{
		HostPort:  t.address,
		Namespace: namespace,
		Logger:    sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("connect to the Temporal server: %w", err)
	}
	defer c.Close()
	err = poll(ctx, func() error {
		_, err := c.DescribeWorkflowExecution(ctx, "no-such-workflow", "")
		var notFound *serviceerror.NotFound
		if errors.As(err, &notFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for the Temporal server: %w", err)
	}
	return addSearchAttributes(ctx, c)
}

func (t *temporalServer) stop(ctx context.Context) error {
	t.stopping.Store(true)
	done := make(chan error, 1)
	go func() { done <- t.server.Stop() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop the Temporal server: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the Temporal server: %w", ctx.Err())
	}
}
