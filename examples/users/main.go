// Command users is a microservice that keeps users in PostgreSQL. It is what the demo and the tests of Windlass deploy, and is
// written the way a real service is: configuration from the environment, migrations at start, health that asks the database,
// and a stop that finishes the requests in flight.
//
//	users           serves, see settings for the environment variables
//	users -check    asks the health of the instance on this machine, for exec health checks; ends 0 or 1
//	users -version  prints the version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: -ldflags "-X main.version=1.0.0".
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole command. It returns the exit code: 0 for success, 1 for a failure, 2 for wrong usage or configuration.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("users", flag.ContinueOnError)
	flags.SetOutput(stderr)
	showVersion := flags.Bool("version", false, "print the version and end")
	checkHealth := flags.Bool("check", false, "ask the health of the instance on this machine and end")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *showVersion {
		fmt.Fprintln(stdout, version)
		return 0
	}
	if *checkHealth {
		return check(ctx, getenv, stdout)
	}

	logger := slog.New(slog.NewJSONHandler(stdout, nil)).With("service", "users", "version", version)
	s, err := settingsFrom(getenv)
	if err != nil {
		logger.Error("configuration", "error", err)
		return 2
	}
	if err := serve(ctx, s, logger); err != nil {
		logger.Error("ended with a failure", "error", err)
		return 1
	}
	return 0
}
