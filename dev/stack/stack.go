// Package stack runs the servers that Windlass stands on in one process: NATS with JetStream, the Temporal server on
// SQLite and the Temporal web UI. It is for development, demonstrations and tests. What Windlass itself does (worker,
// trigger, command line) is not started here, and nothing outside dev may import this package, because it links the
// whole Temporal server.
package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

const (
	// DefaultTaskRate is the number of polls per second that Temporal's transfer and timer queues may make on the one
	// history shard of the stack. It is far above what SQLite can serve, so that it never is the limit.
	DefaultTaskRate = 10000

	// StockTaskRate is what Temporal sets by itself. On one shard it costs every step of a workflow 50 ms.
	StockTaskRate = 20

	namespace = "default"
)

// Config says where a stack keeps its data and where it listens.
type Config struct {
	// DataDir holds everything that outlives the process. It is required, created with mode 0700 when missing, and
	// locked for the life of the stack.
	DataDir string

	// NATSAddress, TemporalAddress and UIAddress are host:port. Port 0 picks a free one. An empty address means
	// 127.0.0.1:0.
	NATSAddress     string
	TemporalAddress string
	UIAddress       string

	// UI starts the Temporal web UI.
	UI bool

	// TaskRate is the number of polls per second of Temporal's transfer and timer queues. Zero means DefaultTaskRate.
	TaskRate int

	// LongHistory is the number of events from which Temporal suggests to a workflow that it goes on in a new run.
	// Zero means what Temporal sets by itself.
	LongHistory int

	// Logger gets the warnings and errors of the servers, and at debug level all they say. Nil discards.
	Logger *slog.Logger
}

// Stack is a running set of servers. Whoever started it calls Stop.
type Stack struct {
	log      *slog.Logger
	lock     *lock
	nats     *natsServer
	temporal *temporalServer
	ui       *webUI
	failed   chan error

	stopOnce sync.Once
	stopErr  error
}

// Start starts all servers and returns when each of them answers. When one fails, what had started is stopped again.
//
// A data directory that another stack holds gives a *LockedError, an address that is taken an *AddressError, and data
// of another Temporal version a *VersionError.
func Start(ctx context.Context, c Config) (*Stack, error) {
	if c.DataDir == "" {
		return nil, errors.New("the stack needs a data directory")
	}
	dataDir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data directory: %w", err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	if c.TaskRate == 0 {
		c.TaskRate = DefaultTaskRate
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}

	s := &Stack{log: log, failed: make(chan error, 1)}
	if s.lock, err = lockDir(dataDir); err != nil {
		return nil, err
	}
	if err := s.start(ctx, c, dataDir); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stopCtx))
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, c Config, dataDir string) error {
	// All addresses are reserved before the first server starts: a taken one is reported before anything ran.
	natsAddress, err := reserve("NATS", c.NATSAddress)
	if err != nil {
		return err
	}
	defer natsAddress.close()
	temporalAddress, err := reserve("Temporal", c.TemporalAddress)
	if err != nil {
		return err
	}
	defer temporalAddress.close()

	var uiAddress *reservation
	if c.UI {
		if uiAddress, err = reserve("web UI", c.UIAddress); err != nil {
			return err
		}
		defer uiAddress.close()
	}

	if s.nats, err = startNATS(ctx, natsAddress, filepath.Join(dataDir, "nats"), s.log, s.fail); err != nil {
		return err
	}
	if s.temporal, err = startTemporal(ctx, temporalAddress, filepath.Join(dataDir, "temporal"), dynamicSettings(c.TaskRate, c.LongHistory), s.log, s.fail); err != nil {
		return err
	}
	if c.UI {
		if s.ui, err = startWebUI(ctx, uiAddress, s.temporal.address); err != nil {
			return err
		}
	}
	return nil
}

// fail keeps the first fault that a server cannot go on after.
func (s *Stack) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed receives an error when a server says that it cannot go on. The stack is then of no use any more; the receiver
// stops it.
func (s *Stack) Failed() <-chan error { return s.failed }

// NATSURL is the URL for NATS clients.
func (s *Stack) NATSURL() string { return "nats://" + s.nats.address }

// NATSServer is the embedded server, for nats.InProcessServer: a connection that uses no port.
func (s *Stack) NATSServer() *natsserver.Server { return s.nats.server }

// InProcessConn is a new connection to NATS within the process. With it a Stack can be given to nats.InProcessServer.
func (s *Stack) InProcessConn() (net.Conn, error) { return s.nats.server.InProcessConn() }

// TemporalAddress is host:port of the Temporal frontend.
func (s *Stack) TemporalAddress() string { return s.temporal.address }

// Namespace is the Temporal namespace that exists with Windlass' search attributes.
func (s *Stack) Namespace() string { return namespace }

// UIURL is the URL of the Temporal web UI, empty when it was not asked for.
func (s *Stack) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return "http://" + s.ui.address
}

// Stop stops Temporal, then the web UI, then NATS, and unlocks the data directory. What is still running when the
// context ends is left behind and named in the error. Calls after the first return what the first one returned.
func (s *Stack) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		var errs []error
		if s.temporal != nil {
			errs = append(errs, s.temporal.stop(ctx))
		}
		if s.ui != nil {
			s.ui.stop()
		}
		if s.nats != nil {
			errs = append(errs, s.nats.stop(ctx))
		}
		errs = append(errs, s.lock.release())
		s.stopErr = errors.Join(errs...)
	})
	return s.stopErr
}
