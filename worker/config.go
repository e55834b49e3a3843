// Package worker assembles workflows, activities, the trigger and the query API
// and runs them. More workers on the same servers share the work.
package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"windlass/activities"
)

// TaskQueue is the Temporal task queue of all workers.
const TaskQueue = "windlass"

// Config says where a worker finds what it needs.
type Config struct {
	// NATSURL and NATSCredentials (a file, may be empty) lead to NATS.
	NATSURL         string
	NATSCredentials string
	// TemporalAddress is host:port, Namespace the Temporal namespace.
	TemporalAddress string
	Namespace       string
	// MasterKeyFile holds the key that generated credentials are derived from; all
	// workers of one installation need the same. See LoadMasterKey.
	MasterKeyFile string
	// SecretsDir holds one file for each ${secret.NAME}; empty means none.
	SecretsDir string
	// ProvidersFile is a document of kind Providers, which alone says which providers
	// there are. Without it there is one, "docker", which DockerHost and the images of
	// Databases configure; empty means its defaults. With it they must be empty.
	ProvidersFile string
	DockerHost    string
	PostgresImage string
	RedisImage    string
	ValkeyImage   string
	// ProxyBinary is the windlass-proxy that LoadBalancers run; the default is the file
	// of that name beside this program.
	ProxyBinary string
	// Providers are there beside those that are configured, by name; may be nil.
	Providers activities.Providers
	// Approvals are the environments in which somebody has to approve every plan
	// before it runs, whatever documents say.
	Approvals []string
	// Logger must be set.
	Logger *slog.Logger
	// Ready is called once, when the worker takes commands; may be nil.
	Ready func()
}

// LoadMasterKey reads the master key from a file. A missing file, or one that
// others may read, is an error that says what to do.
func LoadMasterKey(path string) ([]byte, error) {
	if path == "" {
		return nil, errors.New("no master key: give --master-key-file")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the master key file %s does not exist; make one with: (umask 077; head -c %d /dev/urandom > %s)", path, activities.MasterKeySize, path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the master key file %s can be read by others; run: chmod 600 %s", path, path)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if len(key) < activities.MasterKeySize {
		return nil, fmt.Errorf("the master key file %s holds %d bytes; at least %d are needed", path, len(key), activities.MasterKeySize)
	}
	return key, nil
}
