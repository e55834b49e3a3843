package starter

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"windlass/events"
	"windlass/schemas"
)

func newWatch(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [ENV/NAME]",
		Short: "Show what moves, until Ctrl-C",
		Long: `Shows an Infrastructure with its resources, or every Infrastructure with one line
each, and follows them until Ctrl-C. On a terminal the picture changes in place;
elsewhere there is one line per event.`,
		Args:              optional(1),
		ValidArgsFunction: a.completeScope,
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return a.watchAll(ctx)
		}
		scope, err := parseScope(args[0])
		if err != nil {
			return err
		}
		return a.watchOne(ctx, scope)
	})
	return cmd
}

func (a *app) watchOne(ctx context.Context, scope schemas.Scope) error {
	return a.watch(ctx, events.FollowOptions{Scope: &scope}, func(conn *nats.Conn) (picture, error) {
		t := newTree(scope, a.now())
		answer, _, err := ask[schemas.StatusAnswer](ctx, a, conn, schemas.QueryStatus, schemas.StatusRequest{Scope: scope}, askTimeout)
		if err == nil {
			t.seed(answer)
		} else {
			t.state = "not known yet"
		}
		return t, err
	})
}

func (a *app) watchAll(ctx context.Context) error {
	return a.watch(ctx, events.FollowOptions{}, func(conn *nats.Conn) (picture, error) {
		f := newFleet()
		answer, _, err := ask[schemas.ListAnswer](ctx, a, conn, schemas.QueryList, schemas.ListRequest{}, askTimeout)
		if err == nil {
			f.seed(answer)
		}
		return f, err
	})
}

// watch begins with what a worker knows. When none answers, or what is watched
// is not known yet, it says so and follows the events all the same.
func (a *app) watch(ctx context.Context, o events.FollowOptions, begin func(*nats.Conn) (picture, error)) error {
	conn, err := a.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	follower, err := a.follow(ctx, conn, o)
	if err != nil {
		return err
	}
	defer follower.Close()
	p, err := begin(conn)
	switch code := codeOf(err, ExitInternal); {
	case ctx.Err() != nil:
		return exitSilently(ExitInterrupted)
	case code == ExitNotFound || code == ExitUnreachable:
		a.note("%s; waiting for events", err)
	case err != nil:
		return err
	}
	d := a.newDisplay(p)
	defer d.close()
	f := &following{app: a, conn: conn, follower: follower, display: d}
	err = f.run(ctx, func(status events.Status) bool {
		p.apply(status.Event)
		d.show(status)
		return false
	})
	if errors.Is(err, context.Canceled) {
		return exitSilently(ExitInterrupted)
	}
	return err
}

// follow starts to read status events.
func (a *app) follow(ctx context.Context, conn *nats.Conn, o events.FollowOptions) (*events.Follower, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	follower, err := events.Follow(opening, js, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, exitSilently(ExitInterrupted)
		}
		return nil, a.streamError("follow the status events", err)
	}
	return follower, nil
}
