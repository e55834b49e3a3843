// Command windlass sends commands to Windlass over NATS and shows what moves.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"windlass/starter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(starter.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
