package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// databaseWait is how long the start tries to reach the database before it gives up.
	databaseWait = time.Minute
	// drainTimeout is how long a stop waits for requests in flight before it cuts them off.
	drainTimeout = 20 * time.Second
)

// serve opens the database, migrates it and answers requests until ctx ends. It returns nil after a stop that cut nothing off.
func serve(ctx context.Context, s settings, logger *slog.Logger) error {
	store, err := openStore(ctx, s.database)
	if err != nil {
		return err
	}
	defer store.close()
	err = withBackoff(ctx, databaseWait, logger, func(ctx context.Context) error { return store.migrate(ctx, logger) })
	if ctx.Err() != nil {
		logger.Info("stopped before the database was ready")
		return nil
	}
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	listener, err := net.Listen("tcp", s.address())
	if err != nil {
		return fmt.Errorf("listen on HOST and PORT: %w", err)
	}
	return serveOn(ctx, listener, store, logger)
}

// serveOn answers requests on the listener until ctx ends, then finishes those in flight.
func serveOn(ctx context.Context, listener net.Listener, store *store, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           newHandler(store, logger),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	logger.Info("listening", "address", listener.Addr().String())

	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	logger.Info("stopping, finishing requests in flight", "timeout", drainTimeout.String())
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("requests cut off after %s: %w", drainTimeout, err), server.Close())
	}
	logger.Info("stopped")
	return nil
}
