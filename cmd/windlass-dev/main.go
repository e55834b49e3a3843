// Windlass-dev runs NATS, Temporal, its web UI and a Windlass worker in one process.
package main

import (
	"fmt"
	"os"
	"strings"

	"windlass/dev"
)

func main() {
	if err := dev.NewCommand(dev.RunWorker).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "windlass-dev:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}
