package stack

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

const (
	natsMaxPayload = 4 << 20
	natsMaxMemory  = 256 << 20
	natsMaxStore   = 16 << 30
)

type natsServer struct {
	server  *natsserver.Server
	address string
}

func startNATS(ctx context.Context, address *reservation, storeDir string, log *slog.Logger, fail func(error)) (*natsServer, error) {
	server, err := natsserver.NewServer(&natsserver.Options{
		ServerName:             "windlass-dev",
		Host:                   address.ip(),
		Port:                   address.port(),
		MaxPayload:             natsMaxPayload,
		JetStream:              true,
		DisableJetStreamBanner: true,
		JetStreamMaxMemory:     natsMaxMemory,
		JetStreamMaxStore:      natsMaxStore,
		StoreDir:               storeDir,
		// The default syncs every two minutes and loses acknowledged messages when the machine loses power.
		SyncAlways: true,
		// Without it the server ends the process on a signal, before anything else could be stopped.
		NoSigs: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up NATS: %w", err)
	}

	fatal := make(chan error, 1)
	server.SetLoggerV2(&natsLogger{log: log.With("server", "nats"), fail: func(err error) {
		select {
		case fatal <- err:
		default:
		}
		fail(err)
	}}, log.Enabled(ctx, slog.LevelDebug), false, false)

	address.release()
	server.Start()
	if err := natsReady(ctx, server, fatal); err != nil {
		server.Shutdown()
		server.WaitForShutdown()
		return nil, err
	}
	return &natsServer{server: server, address: address.dial()}, nil
}

func natsReady(ctx context.Context, server *natsserver.Server, fatal <-chan error) error {
	deadline := time.Now().Add(readyTimeout)
	for {
		ready := server.ReadyForConnections(20*time.Millisecond) && server.JetStreamEnabled()
		select {
		case err := <-fatal:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for NATS: %w", ctx.Err())
		default:
		}
		if ready {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("NATS did not become ready within %s", readyTimeout)
		}
	}
}

func (n *natsServer) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		n.server.Shutdown()
		n.server.WaitForShutdown()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop NATS: %w", ctx.Err())
	}
}
