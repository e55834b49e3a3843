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

// OtherProxy writes a proxy into a folder as another version of itself, and returns its path: what follows the program
// in its file, which says the version, changes nothing but the file.
func OtherProxy(binary, folder, version string) (string, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "windlass-proxy")
	return path, os.WriteFile(path, append(program, version...), 0o700)
}
