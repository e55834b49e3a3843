package images

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"windlass/dev/engine/host"
)

// ProxyBinary builds windlass-proxy for an engine on this machine, and returns its path. It is there again at once when
// nothing has changed.
func ProxyBinary(ctx context.Context) (string, error) {
	cache, err := host.CacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := host.Lock(ctx, "proxy", func() {})
	if err != nil {
		return "", err
	}
	defer unlock()
	folder := filepath.Join(cache, "proxy")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, "windlass-proxy")
	_, err = program{packagePath: "windlass/cmd/windlass-proxy"}.compile(ctx, path, runtime.GOARCH)
	return path, err
}
