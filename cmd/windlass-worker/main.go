// Windlass-worker serves commands: it runs workflows and activities.
package main

import (
	"fmt"
	"os"

	"windlass/worker"
)

func main() {
	if err := worker.NewCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "windlass-worker:", err)
		os.Exit(1)
	}
}
