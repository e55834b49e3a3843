package starter

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"windlass/events"
	"windlass/schemas"
)

// sending is a command on its way.
type sending struct {
	app     *app
	conn    *nats.Conn
	js      jetstream.JetStream
	scope   schemas.Scope
	command event.Event
	receipt events.Receipt
	// source is the document, for the places of faults, or a name alone.
	source *source
}

// newSending puts a command together and connects. The caller closes the connection.
func (a *app) newSending(scope schemas.Scope, eventType string, data any) (*sending, error) {
	command, err := events.NewCommand(eventType, data)
	if err != nil {
		return nil, err
	}
	conn, err := a.connect()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &sending{app: a, conn: conn, js: js, scope: scope, command: command, source: &source{name: "the command"}}, nil
}

// publish sends the command and returns when JetStream has stored it.
func (s *sending) publish(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var err error
	s.receipt, err = events.PublishCommand(bounded, s.js, s.scope, s.command)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		s.app.note("whether command %s was stored is not known; look with: windlass status %s", s.command.ID(), s.scope)
		return endOf(ctx)
	}
	return s.app.streamError("send the command", err)
}

// acknowledge tells that the command is stored.
func (s *sending) acknowledge() {
	if s.receipt.Duplicate {
		s.app.note("command %s was sent before; it takes effect once", s.command.ID())
	}
	if s.app.json != nil {
		infrastructure, container := s.scope.Infrastructure, ""
		if schemas.IsContainerCommand(s.command.Type()) {
			infrastructure, container = "", s.scope.Infrastructure
		}
		s.app.json.write(struct {
			CommandID      string `json:"commandId"`
			Environment    string `json:"environment"`
			Infrastructure string `json:"infrastructure,omitempty"`
			Container      string `json:"container,omitempty"`
			Sequence       uint64 `json:"sequence"`
			Duplicate      bool   `json:"duplicate"`
		}{s.command.ID(), s.scope.Environment, infrastructure, container, s.receipt.Sequence, s.receipt.Duplicate})
	}
}

// followHint says how to see what becomes of the command.
func (s *sending) followHint() string {
	hint := "windlass watch " + s.scope.String()
	if schemas.IsContainerCommand(s.command.Type()) {
		hint = "windlass events --follow " + s.scope.String()
	}
	if s.app.url != defaultURL() {
		hint += " --nats " + s.app.address()
	}
	return hint
}

// execute sends the command and, when wait is set, follows it to its end.
func (s *sending) execute(ctx context.Context, w waitFlags, again bool) error {
	if !w.wait {
		if err := s.publish(ctx); err != nil {
			return interruption(err)
		}
		s.acknowledge()
		if s.app.json == nil {
			fmt.Fprintf(s.app.stdout, "command %s for %s is stored\nfollow it with: %s\n", s.command.ID(), s.scope, s.followHint())
		}
		return nil
	}
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, errTimedOut)
		defer cancel()
	}
	// Following begins before the command goes out, so that no event of it is
	// missed; one that was sent before may have ended long ago.
	opening, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	follower, err := events.Follow(opening, s.js, events.FollowOptions{Scope: &s.scope, All: again})
	if err != nil {
		if ctx.Err() != nil {
			return interruption(endOf(ctx))
		}
		return s.app.streamError("follow the status events", err)
	}
	defer follower.Close()
	if err := s.publish(ctx); err != nil {
		return interruption(err)
	}
	s.acknowledge()
	if schemas.IsContainerCommand(s.command.Type()) {
		return s.waitContainer(ctx, follower)
	}
	return s.wait(ctx, follower)
}

// interruption gives the end of a context before the command was stored its exit code.
func interruption(err error) error {
	switch {
	case errors.Is(err, errTimedOut):
		return exitf(ExitTimedOut, "timed out before NATS acknowledged the command")
	case errors.Is(err, context.Canceled):
		return exitf(ExitInterrupted, "interrupted before NATS acknowledged the command")
	}
	return err
}

// register adds --wait and --timeout.
func (w *waitFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "follow the command until it is done")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "how long --wait waits, such as 5m; 0 is without limit")
}

// check refuses flags that mean nothing together.
func (w *waitFlags) check() error {
	if w.timeout < 0 {
		return exitf(ExitUsage, "--timeout %s is negative", w.timeout)
	}
	if w.timeout > 0 && !w.wait {
		return exitf(ExitUsage, "--timeout bounds --wait; give both or none")
	}
	return nil
}
