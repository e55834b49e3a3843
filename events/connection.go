package events

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConnectOptions say how to connect to NATS.
type ConnectOptions struct {
	// Name shows in the server's list of connections.
	Name string
	// Credentials is the path of a NATS credentials file; may be empty.
	Credentials string
	// Timeout bounds the first connection to a server that does not answer; the
	// default is 3s.
	Timeout time.Duration
	// Logger receives connection losses and permission faults; the default drops them.
	Logger *slog.Logger
}

// Connect connects to the NATS server at that URL. It fails at once when nothing
// answers there; later losses are mended in the background without limit. The
// caller closes the connection.
func Connect(url string, o ConnectOptions) (*nats.Conn, error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	options := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger.Error("NATS refused something; check the permissions of this user", "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("lost the connection to NATS; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("connected to NATS again") }),
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", url, err)
	}
	return conn, nil
}

// missing tells an absent stream or bucket from other errors.
func missing(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return ErrNoStreams
	}
	return err
}
