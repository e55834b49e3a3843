// Package integration tests the whole of Windlass on its real servers and the real
// container engine: what holds when parts of it are killed, cut off or fed with
// nonsense. Workers and servers run as processes of their own, since only a process can
// be killed. Workers are this test binary, so that the race detector watches them too;
// NATS and Temporal are those of windlass-dev without it, which is several times as fast.
package integration

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	sdk "go.temporal.io/sdk/worker"

	"windlass/dev/engine/host"
	"windlass/dev/images"
	"windlass/worker"
)

// workerVariable makes the test binary run a worker instead of the tests.
const workerVariable = "WINDLASS_INTEGRATION_WORKER"

// sideBySide is how many tests run at a time. Each has servers of its own and keeps a
// processor busy while something happens, but part of the time is spent in waiting for
// timeouts. More of them would be no faster on two processors: what asks, checks and samples
// in a test does so for as long as the test takes.
const sideBySide = "4"

var (
	// proxyBinary is the proxy that the workers run.
	proxyBinary string
	// serversBinary is windlass-dev.
	serversBinary string
)

func TestMain(m *testing.M) {
	begin := prepare
	if os.Getenv(workerVariable) != "" {
		begin = runWorker
	}
	if err := begin(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(workerVariable) == "" {
		os.Exit(m.Run())
	}
}

// prepare sees to what all tests need.
func prepare() error {
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		return err
	}
	err := images.Ensure(context.Background(), images.Fixture(), images.Postgres(), images.Users("1.0.0"))
	if err != nil {
		return err
	}
	if proxyBinary, err = images.ProxyBinary(context.Background()); err != nil {
		return err
	}
	serversBinary, err = buildServers(context.Background())
	return err
}

// buildServers builds windlass-dev and returns its path. It is there again at once when nothing has changed.
func buildServers(ctx context.Context) (path string, err error) {
	cache, err := host.CacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := host.Lock(ctx, "windlass-dev", func() {})
	if err != nil {
		return "", err
	}
	defer unlock()
	path = filepath.Join(cache, "windlass-dev")
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "windlass/cmd/windlass-dev")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build windlass-dev: %w: %s", err, host.LastLines(string(output), 10))
	}
	return path, nil
}

// workerConfig is the part of worker.Config that a test decides on.
type workerConfig struct {
	NATSURL         string
	TemporalAddress string
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
	// Without it, each worker that starts reads the whole test binary to make one.
	sdk.SetBinaryChecksum("integration")
	return worker.Run(ctx, worker.Config{
		NATSURL: c.NATSURL, TemporalAddress: c.TemporalAddress, Namespace: "default",
		MasterKeyFile: c.MasterKeyFile, SecretsDir: c.SecretsDir, ProvidersFile: c.ProvidersFile, DockerHost: c.DockerHost,
		PostgresImage: c.PostgresImage, RedisImage: c.RedisImage, ProxyBinary: c.ProxyBinary,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel})),
		Ready:  func() { fmt.Println("ready") },
	})
}
