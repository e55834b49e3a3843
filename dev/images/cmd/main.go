// Command cmd makes the container images of the demo and the tests and loads them into the container engine:
//
//	go run ./dev/images/cmd users fixture postgres redis
//	go run ./dev/images/cmd all
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/moby/moby/client"

	"windlass/dev/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	wanted, err := choose(names)
	if err != nil {
		return err
	}
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("container engine: %w", err)
	}
	defer engine.Close()
	builder, err := images.NewBuilder(engine, os.Stdout)
	if err != nil {
		return err
	}
	return builder.Ensure(ctx, wanted...)
}

func choose(names []string) ([]images.Image, error) {
	var wanted []images.Image
	for _, name := range names {
		switch name {
		case "users":
			wanted = append(wanted, images.Users("1.0.0"), images.Users("1.1.0"))
		case "fixture":
			wanted = append(wanted, images.Fixture())
		case "postgres":
			wanted = append(wanted, images.Postgres())
		case "redis":
			wanted = append(wanted, images.Redis())
		case "all":
			wanted = append(wanted, images.All()...)
		default:
			return nil, fmt.Errorf("unknown image %q: use users, fixture, postgres, redis or all", name)
		}
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("which image? Use users, fixture, postgres, redis or all")
	}
	return wanted, nil
}
