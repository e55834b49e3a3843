// Package process runs a proxy: a supervisor, which stays, holds the listening
// sockets, and starts what serves; and the serving process, which may crash or be
// replaced by another version of itself without a connection being refused.
package process

import (
	"log/slog"
	"time"
)

// Settings are those of a supervisor and of the processes that it starts.
type Settings struct {
	// State is a directory that outlives the process: the last good configuration, and
	// the binary that an upgrade left.
	State string
	// Socket is the path of the Unix socket of the admin API.
	Socket string
	// Metrics is host:port of the metrics, served under /metrics; empty serves none.
	Metrics string
	// AccessLog writes a line per request to standard output.
	AccessLog bool
	// DrainTimeout is how long requests in flight have when the process ends or is
	// replaced.
	DrainTimeout time.Duration
	// ReadyTimeout is how long a process has until it serves.
	ReadyTimeout time.Duration
	// Logger must be set.
	Logger *slog.Logger
}

// The defaults of the flags.
const (
	defaultState        = "/state"
	defaultDrainTimeout = 25 * time.Second
	defaultReadyTimeout = 10 * time.Second
)
