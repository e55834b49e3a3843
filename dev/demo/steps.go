package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"windlass/activities"
	"windlass/events"
	"windlass/schemas"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	document = "examples/users.yaml"
	// postgresImage and redisImage are what dev/images makes, by version.
	postgresImage = "windlass.local/postgres:{version}"
	redisImage    = "windlass.local/redis:{version}"
)

// start brings the stack up on free ports, and a worker as a process of its own,
// so that it can be killed.
func (d *demo) start(ctx context.Context) error {
	begun := time.Now()
	fields := map[string]*string{"NATS": &d.nats, "Temporal": &d.temporal, "web UI": &d.ui}
	var err error
	d.stack, err = launch(ctx, filepath.Join(d.directory, "stack.log"), func(line string) {
		for name, field := range fields {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				*field = strings.TrimSpace(value)
				fmt.Printf("  %-9s %s\n", name, *field)
			}
		}
	}, filepath.Join(d.binaries, "windlass-dev"), "--no-worker", "--data-dir", filepath.Join(d.directory, "data"),
		"--nats-address", "127.0.0.1:0", "--temporal-address", "127.0.0.1:0", "--ui-address", "127.0.0.1:0")
	if err != nil {
		return err
	}
	key := make([]byte, activities.MasterKeySize)
	rand.Read(key)
	if err := os.WriteFile(d.keyFile(), key, 0o600); err != nil {
		return err
	}
	if err := d.startWorker(ctx); err != nil {
		return err
	}
	d.show("NATS, Temporal, its web UI and a worker were up in %s", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

func (d *demo) keyFile() string { return filepath.Join(d.directory, "master.key") }

func (d *demo) startWorker(ctx context.Context) (err error) {
	d.worker, err = launch(ctx, filepath.Join(d.directory, "worker.log"), func(string) {}, filepath.Join(d.binaries, "windlass-worker"),
		"--nats", d.nats, "--temporal-address", d.temporal, "--master-key-file", d.keyFile(),
		"--postgres-image", postgresImage, "--redis-image", redisImage)
	if err == nil {
		fmt.Printf("  %-9s process %d\n", "worker", d.worker.pid())
	}
	return err
}

// windlass runs the command as a person would, its output on this terminal.
func (d *demo) windlass(ctx context.Context, arguments ...string) error {
	fmt.Printf("$ windlass %s\n", strings.Join(arguments, " "))
	command := exec.CommandContext(ctx, filepath.Join(d.binaries, "windlass"), append([]string{"--nats", d.nats}, arguments...)...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("windlass %s: %w", arguments[0], err)
	}
	return nil
}

func (d *demo) deploy(ctx context.Context) error {
	begun := time.Now()
	if err := d.windlass(ctx, d.deployment("1.0.0")...); err != nil {
		return err
	}
	d.show("a CloudEvent on NATS brought up a network, a database, three replicas and a load balancer, in that order, in %s", time.Since(begun).Round(100*time.Millisecond))
	return d.windlass(ctx, "status", d.scope(), "--live")
}

func (d *demo) deployment(version string) []string {
	return []string{"deploy", document, "--set", "environment=" + d.environment, "--set", fmt.Sprintf("port=%d", d.port), "--set", "version=" + version, "--wait", "--timeout", "5m"}
}

// crash kills the worker as soon as the second deployment moves its first
// resource, and starts another worker. Clients use the service all the time.
func (d *demo) crash(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	moving, err := d.whenUpdating(ctx)
	if err != nil {
		return err
	}
	clients := gather(ctx, d.serviceURL()+"/users")
	defer clients.stop()
	deployed := make(chan error, 1)
	go func() { deployed <- d.windlass(ctx, d.deployment("1.1.0")...) }()
	select {
	case err = <-moving:
	case err = <-deployed:
		err = fmt.Errorf("the deployment ended before it moved anything (%v)", err)
	}
	if err != nil {
		return err
	}
	killed := d.worker.pid()
	d.worker.kill()
	at := time.Now()
	fmt.Printf("  !! worker %d killed with SIGKILL; starting another one\n", killed)
	if err := d.startWorker(ctx); err != nil {
		return err
	}
	if err := <-deployed; err != nil {
		return err
	}
	if err := d.expectVersion(ctx, "1.1.0", 3); err != nil {
		return err
	}
	took := time.Since(at)
	answered, err := clients.leave()
	if err != nil {
		return err
	}
	d.show("a worker killed in the middle of a deployment: the next one finished it %s later, with exactly three replicas", took.Round(100*time.Millisecond))
	d.show("%d clients used the service meanwhile: %d requests, of which none failed", audienceSize, answered)
	return nil
}

// whenUpdating reports when the first resource of the next deployment moves.
func (d *demo) whenUpdating(ctx context.Context) (<-chan error, error) {
	conn, err := events.Connect(d.nats, events.ConnectOptions{Name: "windlass-demo"})
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	scope := schemas.Scope{Environment: d.environment, Infrastructure: "users"}
	follower, err := events.Follow(ctx, js, events.FollowOptions{Scope: &scope, Types: []string{schemas.StatusResourceUpdating}})
	if err != nil {
		return nil, err
	}
	moving := make(chan error, 1)
	go func() {
		defer conn.Close()
		defer follower.Close()
		_, err := follower.Next(ctx)
		moving <- err
	}()
	return moving, nil
}

func (d *demo) destroy(ctx context.Context) error {
	if err := d.windlass(ctx, "destroy", d.scope(), "--yes", "--wait", "--timeout", "5m"); err != nil {
		return err
	}
	left, err := d.objects(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("the engine still has %s", strings.Join(left, ", "))
	}
	d.show("destroyed in reverse order; the engine has no container, network or volume of it left")
	return nil
}
