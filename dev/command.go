// Package dev runs all of Windlass in one process, for development, demonstrations and tests.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"windlass/dev/stack"
	"windlass/events"
)

// stopTimeout bounds a clean end: the worker hands back what it holds, the servers write down what they have.
const stopTimeout = 30 * time.Second

// WorkerConfig is what a worker needs to know of the stack that it runs on.
type WorkerConfig struct {
	// NATSURL, TemporalAddress (host:port) and Namespace lead to the servers.
	NATSURL         string
	TemporalAddress string
	Namespace       string

	// DataDir is the data directory of the stack. The worker may keep files of its own there, in directories that are
	// not named nats or temporal.
	DataDir string

	// ProvidersFile, DockerHost, PostgresImage, RedisImage, ValkeyImage, ProxyBinary and SecretsDir are the values of
	// the flags of the same name, empty when not given.
	ProvidersFile string
	DockerHost    string
	PostgresImage string
	RedisImage    string
	ValkeyImage   string
	ProxyBinary   string
	SecretsDir    string

	// Logger is never nil.
	Logger *slog.Logger

	// Ready is to be called once, when the worker takes commands.
	Ready func()
}

// WorkerFunc runs a worker until the context ends, then lets it finish and returns nil. An error, or a return before the
// context ended, ends the whole process.
type WorkerFunc func(ctx context.Context, c WorkerConfig) error

// options are the flags of windlass-dev.
type options struct {
	stack    stack.Config
	worker   WorkerConfig
	noUI     bool
	noWorker bool
	logLevel slog.Level
}

// NewCommand is the windlass-dev command. Nil runs no worker.
func NewCommand(run WorkerFunc) *cobra.Command {
	o := options{logLevel: slog.LevelInfo}
	command := &cobra.Command{
		Use:   "windlass-dev",
		Short: "Run NATS, Temporal, its web UI and a Windlass worker in one process",
		Long: "Run NATS, Temporal, its web UI and a Windlass worker in one process.\n\n" +
			"Everything is kept in the data directory: stop and start again, and what was under way goes on.\n" +
			"The first interrupt ends cleanly, a second one at once.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, restore := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer restore()
			// The next signal has its usual effect, which is to end the process.
			context.AfterFunc(ctx, restore)
			if o.noWorker {
				run = nil
			}
			return o.run(ctx, restore, run, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.stack.DataDir, "data-dir", "", "directory that keeps everything, made when missing "+
		"(default $XDG_STATE_HOME/windlass-dev or ~/.local/state/windlass-dev)")
	flags.StringVar(&o.stack.NATSAddress, "nats-address", "127.0.0.1:4222", "host:port for NATS; port 0 picks a free one")
	flags.StringVar(&o.stack.TemporalAddress, "temporal-address", "127.0.0.1:7233", "host:port for Temporal")
	flags.StringVar(&o.stack.UIAddress, "ui-address", "127.0.0.1:8233", "host:port for the Temporal web UI")
	flags.BoolVar(&o.noUI, "no-ui", false, "do not run the Temporal web UI")
	flags.BoolVar(&o.noWorker, "no-worker", false, "do not run a worker, to run one of your own")
	flags.TextVar(&o.logLevel, "log-level", o.logLevel, "debug, info, warn or error")
	flags.StringVar(&o.worker.ProvidersFile, "providers", "", "file that names the engines and clusters of the worker (default the one provider docker, which the next four flags describe)")
	flags.StringVar(&o.worker.DockerHost, "docker-host", "", "address of the container engine, for the worker")
	flags.StringVar(&o.worker.PostgresImage, "postgres-image", "", "image of PostgreSQL databases, for the worker")
	flags.StringVar(&o.worker.RedisImage, "redis-image", "", "image of Redis databases, for the worker")
	flags.StringVar(&o.worker.ValkeyImage, "valkey-image", "", "image of Valkey databases, for the worker")
	flags.StringVar(&o.worker.ProxyBinary, "proxy-binary", "", "the windlass-proxy that LoadBalancers run, for the worker (default the one beside this program)")
	flags.StringVar(&o.worker.SecretsDir, "secrets-dir", "", "directory with one file per secret, for the worker")
	return command
}

// run starts everything and returns when all has ended. Restore gives interrupts their usual effect back.
func (o options) run(ctx context.Context, restore func(), run WorkerFunc, stdout, stderr io.Writer) error {
	began := time.Now()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.logLevel}))
	config := o.stack
	config.UI = !o.noUI
	config.Logger = log
	if config.DataDir == "" {
		dir, err := defaultDataDir()
		if err != nil {
			return err
		}
		config.DataDir = dir
	}

	s, err := stack.Start(ctx, config)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return withFlag(err)
	}
	if err := prepareStreams(ctx, s.NATSURL()); err != nil {
		return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	fmt.Fprintf(stdout, "NATS            %s\n", s.NATSURL())
	fmt.Fprintf(stdout, "Temporal        %s\n", s.TemporalAddress())
	if config.UI {
		fmt.Fprintf(stdout, "web UI          %s\n", s.UIURL())
	}
	fmt.Fprintf(stdout, "data directory  %s\n", config.DataDir)

	workerCtx, stopWorker := context.WithCancel(ctx)
	defer stopWorker()
	w := &runningWorker{ready: make(chan struct{}), ended: make(chan struct{})}
	state := "running"
	if run == nil {
		state = "none"
		close(w.ready)
	} else {
		worker := o.worker
		worker.NATSURL = s.NATSURL()
		worker.TemporalAddress = s.TemporalAddress()
		worker.Namespace = s.Namespace()
		worker.DataDir = config.DataDir
		worker.Logger = log
		worker.Ready = sync.OnceFunc(func() { close(w.ready) })
		go func() {
			w.err = run(workerCtx, worker)
			close(w.ended)
		}()
	}

	err = w.attend(ctx, s.Failed(), func() {
		fmt.Fprintf(stdout, "worker          %s\n", state)
		fmt.Fprintf(stdout, "ready in %.2f s\n", time.Since(began).Seconds())
	})
	if ctx.Err() != nil {
		restore()
		fmt.Fprintln(stdout, "stopping; interrupt again to end at once")
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if run != nil {
		stopWorker()
		err = errors.Join(err, w.await(stopCtx))
	}
	return errors.Join(err, s.Stop(stopCtx))
}

// prepareStreams makes the streams, so that commands are kept also while no worker has run yet.
func prepareStreams(ctx context.Context, url string) error {
	conn, err := events.Connect(url, events.ConnectOptions{Name: "windlass-dev"})
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return events.EnsureStreams(ctx, js)
}

// runningWorker is a worker in its own goroutine.
type runningWorker struct {
	ready chan struct{}
	ended chan struct{}
	// err is set before ended is closed.
	err error
}

// attend announces when the worker is ready, and returns nil when the context ends, or the reason why the process cannot
// go on.
func (w *runningWorker) attend(ctx context.Context, failed <-chan error, announce func()) error {
	ready := w.ready
	for {
		select {
		case <-ready:
			announce()
			ready = nil
		case <-w.ended:
			if ctx.Err() == nil && w.err == nil {
				return errors.New("the worker ended without being asked to")
			}
			return nil
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// await waits for the end of the worker and returns its error.
func (w *runningWorker) await(ctx context.Context) error {
	select {
	case <-w.ended:
		if w.err != nil && !errors.Is(w.err, context.Canceled) {
			return fmt.Errorf("worker: %w", w.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the worker: %w", ctx.Err())
	}
}

func defaultDataDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if filepath.IsAbs(state) {
		return filepath.Join(state, "windlass-dev"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory for the data: %w: set --data-dir", err)
	}
	return filepath.Join(home, ".local", "state", "windlass-dev"), nil
}

// withFlag says which flag helps.
func withFlag(err error) error {
	var address *stack.AddressError
	var locked *stack.LockedError
	var version *stack.VersionError
	switch {
	case errors.As(err, &address):
		flag := map[string]string{"NATS": "--nats-address", "Temporal": "--temporal-address", "web UI": "--ui-address"}[address.Server]
		return fmt.Errorf("%w: choose another with %s", err, flag)
	case errors.As(err, &locked), errors.As(err, &version):
		return fmt.Errorf("%w (--data-dir)", err)
	default:
		return err
	}
}
