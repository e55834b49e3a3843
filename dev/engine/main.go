// Command engine makes sure that a container engine answers on this machine. It prints nothing when one does. Otherwise it says
// so, installs Debian's docker.io where it is missing (as root) and starts the daemon, which outlives this command.
//
// The engine that counts is the one of DOCKER_HOST, or the one behind the local socket.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/moby/moby/client"

	"windlass/dev/engine/host"
)

const (
	// pingTimeout bounds the question whether an engine is there.
	pingTimeout = 5 * time.Second
	// startTimeout is how long a daemon may take from its start to its first answer.
	startTimeout = time.Minute
	pollInterval = 200 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := ensure(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ensure(ctx context.Context, out io.Writer) error {
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("container engine: %w: check DOCKER_HOST", err)
	}
	defer engine.Close()
	if ping(ctx, engine) == nil {
		return nil
	}
	if address := os.Getenv(client.EnvOverrideHost); address != "" {
		return fmt.Errorf("no container engine answers at DOCKER_HOST=%s: start it, or unset DOCKER_HOST to use the one of this machine", address)
	}

	// Two at once would install and start twice.
	unlock, err := host.Lock(ctx, "engine", nil)
	if err != nil {
		return err
	}
	defer unlock()
	failure := ping(ctx, engine)
	if failure == nil {
		return nil
	}
	fmt.Fprintf(out, "No container engine answers at %s (%v).\n", engine.DaemonHost(), rootCause(failure))
	if os.Geteuid() != 0 {
		return errors.New("starting a container engine needs root: run this as root, or start Docker by other means, or point DOCKER_HOST to one")
	}
	return start(ctx, engine, out)
}

func ping(ctx context.Context, engine *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := engine.Ping(ctx, client.PingOptions{})
	return err
}

// rootCause is what the operating system said, without the layers of the client around it.
func rootCause(err error) error {
	var system syscall.Errno
	if errors.As(err, &system) {
		return system
	}
	return err
}

// awaitAnswer polls the engine until it answers, the daemon has ended, or time is up.
func awaitAnswer(ctx context.Context, engine *client.Client, ended <-chan error) error {
	deadline, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		failure := ping(deadline, engine)
		if failure == nil {
			return nil
		}
		select {
		case err := <-ended:
			if starting() {
				// Ours gave way to one that came first.
				ended = nil
				continue
			}
			return fmt.Errorf("the daemon ended: %v", err)
		case <-deadline.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("no answer within %s: %w", startTimeout, failure)
		case <-ticker.C:
		}
	}
}
