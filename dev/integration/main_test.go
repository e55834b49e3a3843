// Package integration tests the whole of Windlass on its real servers and the real
// container engine: what holds when parts of it are killed, cut off or fed with
// nonsense. Workers run as processes of their own, since only a process can be
// killed; they are this test binary, so that the race detector watches them too.
package integration

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"windlass/dev"
	"windlass/dev/images"
	"windlass/worker"
)

// roleVariable makes the test binary run a part of Windlass instead of the tests.
const roleVariable = "WINDLASS_INTEGRATION_ROLE"

const (
	roleWorker = "worker"
	roleStack  = "stack"
)

// sideBySide is how many tests run at a time. Each has a stack of its own, which takes half
// a processor under the race detector while something happens; but much of the time is spent
// in waiting for timeouts.
const sideBySide = "6"

// proxyBinary is the proxy that the workers run.
var proxyBinary string

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case roleWorker:
		endWithParent()
		err = runWorker()
	case roleStack:
		endWithParent()
		err = dev.NewCommand(dev.RunWorker).Execute()
	default:
		flag.Parse()
		if err = flag.Set("test.parallel", sideBySide); err == nil {
			err = images.Ensure(context.Background(), images.Fixture(), images.Postgres(), images.Users("1.0.0"))
		}
		if err == nil {
			proxyBinary, err = images.ProxyBinary(context.Background())
		}
		if err == nil {
			os.Exit(m.Run())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// endWithParent ends the process when the test that started it is gone, however
// that ended: its end of the pipe closes then.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
}

// workerConfig is the part of worker.Config that a test decides on.
type workerConfig struct {
	NATSURL         string
	TemporalAddress string
	Namespace       string
	MasterKeyFile   string
	SecretsDir      string
	ProvidersFile   string
	DockerHost      string
	PostgresImage   string
	RedisImage      string
	ProxyBinary     string
	LogLevel        slog.Level
}

func runWorker() error {
	var c workerConfig
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer restore()
	return worker.Run(ctx, worker.Config{
		NATSURL: c.NATSURL, TemporalAddress: c.TemporalAddress, Namespace: c.Namespace,
		MasterKeyFile: c.MasterKeyFile, SecretsDir: c.SecretsDir, ProvidersFile: c.ProvidersFile, DockerHost: c.DockerHost,
		PostgresImage: c.PostgresImage, RedisImage: c.RedisImage, ProxyBinary: c.ProxyBinary,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel})),
		Ready:  func() { fmt.Println("ready") },
	})
}
