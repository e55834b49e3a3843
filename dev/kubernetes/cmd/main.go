// Command cmd builds the programs of the Kubernetes cluster that the tests use, unless they are there already:
//
//	go run ./dev/kubernetes/cmd
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"windlass/dev/kubernetes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	_, err := kubernetes.Build(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
