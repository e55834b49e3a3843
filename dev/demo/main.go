// Command demo shows Windlass on this machine, on a stack of its own: it deploys
// the users service with its database from a CloudEvent, uses it, kills the worker
// in the middle of a second deployment, and destroys everything. KEEP=1 leaves
// the stack and the service running.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Getenv("KEEP") != "")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run on a stack of its own.
type demo struct {
	directory string
	binaries  string
	keep      bool
	stack     *process
	worker    *process
	nats      string
	temporal  string
	ui        string
	engine    *client.Client
	// environment keeps what the demo makes apart from everything else.
	environment string
	// port is where the host publishes the service.
	port  int
	shown []string
}

func run(ctx context.Context, keep bool) (err error) {
	binaries, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "windlass-demo-")
	if err != nil {
		return err
	}
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("container engine: %w", err)
	}
	defer engine.Close()
	port, err := freePort()
	if err != nil {
		return err
	}
	d := &demo{directory: directory, binaries: binaries, keep: keep, engine: engine, environment: fmt.Sprintf("demo-%d", os.Getpid()), port: port}
	kept := false
	defer func() {
		if !kept {
			d.end()
		}
	}()
	started := time.Now()
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Start NATS, Temporal and its web UI in one process, and a worker in another", d.start},
		{"Publish a CloudEvent that asks for a network, a PostgreSQL database, three replicas of a service and a load balancer", d.deploy},
		{"Create a user through the service and read it back from the database", d.use},
		{"Deploy version 1.1.0 under load, and kill the worker with SIGKILL in the middle of it", d.crash},
		{"Destroy everything", d.destroy},
	} {
		if keep && step.title == "Destroy everything" {
			kept = true
			break
		}
		fmt.Printf("\n== %s\n\n", step.title)
		if err := step.do(ctx); err != nil {
			return d.explain(err)
		}
	}
	fmt.Printf("\n== What this showed, in %s\n\n", time.Since(started).Round(time.Second))
	for _, line := range d.shown {
		fmt.Println("  *", line)
	}
	if kept {
		d.printKept()
	}
	return nil
}

// freePort is a port that nothing listens on.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (d *demo) show(format string, values ...any) {
	d.shown = append(d.shown, fmt.Sprintf(format, values...))
}

// explain adds where the logs are to a failure, and keeps them.
func (d *demo) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	d.keep = true
	return fmt.Errorf("%w\nthe logs are in %s", err, d.directory)
}

func (d *demo) end() {
	d.worker.stop()
	d.stack.stop()
	if !d.keep {
		_ = os.RemoveAll(d.directory)
	}
}

func (d *demo) printKept() {
	fmt.Printf(`
Everything runs on:
  service   %s/users
  web UI    %s
  NATS      %s
  follow    bin/windlass --nats %s status %s --live
  logs      %s
Remove it with:
  bin/windlass --nats %s destroy %s --yes --wait && kill %d %d
`, d.serviceURL(), d.ui, d.nats, d.nats, d.scope(), d.directory, d.nats, d.scope(), d.worker.pid(), d.stack.pid())
}

func (d *demo) scope() string { return d.environment + "/users" }
