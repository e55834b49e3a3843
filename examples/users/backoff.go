package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 3 * time.Second
)

// withBackoff repeats an attempt that fails because the database is not there yet, with growing delays that are spread at
// random so that replicas do not come in step. It gives up after limit, when ctx ends, or at once where repeating cannot help.
func withBackoff(ctx context.Context, limit time.Duration, logger *slog.Logger, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	delay := firstDelay
	for {
		err := attempt(ctx)
		if err == nil || isPermanent(err) {
			return err
		}
		logger.Warn("database is not ready, trying again", "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready within %s: %w", limit, err)
		case <-time.After(delay/2 + rand.N(delay/2)):
		}
		delay = min(2*delay, maxDelay)
	}
}

// isPermanent tells whether the database itself said no, as to a wrong password, for a reason that time does not heal.
func isPermanent(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || len(refused.Code) < 2 {
		return false
	}
	switch refused.Code[:2] {
	case "08", // connection lost
		"40", // deadlock or serialisation, solved by repeating
		"53", // out of connections, memory or disk
		"55", // object in use
		"57": // starting up or shutting down
		return false
	default:
		return true
	}
}
