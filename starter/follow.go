package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"windlass/events"
)

// errTimedOut is the cause of a context that --timeout ended.
var errTimedOut = errors.New("timed out")

// endOf says why a context ended: errTimedOut, or context.Canceled for whatever
// else, such as a signal.
func endOf(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTimedOut) {
		return errTimedOut
	}
	return context.Canceled
}

// connectionCheck is how often a waiting command looks whether NATS is still there.
const connectionCheck = time.Second

// following is a command that reads status events and shows them.
type following struct {
	app      *app
	conn     *nats.Conn
	follower *events.Follower
	display  display
	// notes are told when they come; may be nil.
	notes <-chan string
}

// run gives each event to take until that says that it was the last one. It
// returns endOf the context when that ends first.
func (f *following) run(ctx context.Context, take func(events.Status) (last bool)) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	arrived, failed := make(chan events.Status), make(chan error, 1)
	go func() {
		for {
			status, err := f.follower.Next(reading)
			if err != nil {
				failed <- err
				return
			}
			select {
			case arrived <- status:
			case <-reading.Done():
				return
			}
		}
	}()
	frames, checks := time.NewTicker(spinnerStep), time.NewTicker(connectionCheck)
	defer frames.Stop()
	defer checks.Stop()
	connected := true
	for {
		select {
		case status := <-arrived:
			if take(status) {
				return nil
			}
		case err := <-failed:
			if ctx.Err() != nil {
				return endOf(ctx)
			}
			return f.app.streamError("follow the status events", err)
		case <-ctx.Done():
			return endOf(ctx)
		case text := <-f.notes:
			f.display.note(text)
		case <-frames.C:
			f.display.tick()
		case <-checks.C:
			if now := f.conn.IsConnected(); now != connected {
				connected = now
				f.display.note(connectionWords(connected, f.app.address()))
			}
		}
	}
}

func connectionWords(connected bool, address string) string {
	if connected {
		return fmt.Sprintf("connected to NATS at %s again", address)
	}
	return fmt.Sprintf("lost NATS at %s; trying again until it is back", address)
}
