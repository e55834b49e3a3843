// Windlass-proxy balances load over the replicas of a Compute.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"windlass/proxy/process"
)

// version is set by the linker.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := process.Main(ctx, version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
