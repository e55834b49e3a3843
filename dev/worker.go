package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"windlass/activities"
	"windlass/worker"
)

// RunWorker is the WorkerFunc that runs the real worker in this process. Its
// master key lies in the data directory and is made at the first start.
func RunWorker(ctx context.Context, c WorkerConfig) error {
	key := filepath.Join(c.DataDir, "master.key")
	if err := ensureMasterKey(key); err != nil {
		return err
	}
	return worker.Run(ctx, worker.Config{
		NATSURL: c.NATSURL, TemporalAddress: c.TemporalAddress, Namespace: c.Namespace,
		MasterKeyFile: key, SecretsDir: c.SecretsDir, ProvidersFile: c.ProvidersFile, DockerHost: c.DockerHost,
		PostgresImage: c.PostgresImage, RedisImage: c.RedisImage, ValkeyImage: c.ValkeyImage, ProxyBinary: c.ProxyBinary,
		Logger: c.Logger, Ready: c.Ready,
	})
}

// ensureMasterKey makes the key when there is none. It is written aside and
// linked into place, so that a crash leaves either a whole key or none, and two
// processes agree on one.
func ensureMasterKey(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, activities.MasterKeySize)
	rand.Read(key)
	draft := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(draft, key, 0o600); err != nil {
		return fmt.Errorf("make the master key: %w", err)
	}
	defer func() { _ = os.Remove(draft) }()
	if err := os.Link(draft, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the master key: %w", err)
	}
	return nil
}
