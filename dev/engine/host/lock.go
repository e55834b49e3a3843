// Package host does what the development tools need done to the machine they run on: lock work between processes and install
// Debian packages. It knows nothing of what it is done for.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// lockPoll is how often a lock that another process holds is tried again.
	lockPoll = 50 * time.Millisecond
	// lockPatience is how long the wait for a lock is not worth a word.
	lockPatience = 2 * time.Second
)

// CacheDir returns the directory where the development tools keep locks and things that are slow to make again, and creates
// it. It is the user's cache directory, or where there is none (no HOME) the directory for temporary files.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "windlass")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cache directory: %w", err)
	}
	return dir, nil
}

// Lock takes the lock of the given name, which every process of this user shares, and returns the function that gives it back.
// While another holds the lock it waits until ctx ends; waiting is called once when that takes longer than a moment and may be
// nil. The operating system gives the lock back when the process ends, however it ends.
func Lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	patience := time.Now().Add(lockPatience)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if waiting != nil && time.Now().After(patience) {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, ctx.Err())
		case <-ticker.C:
		}
	}
}
