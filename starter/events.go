package starter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"windlass/events"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// quiet is how long a reading of stored events waits for one that does not come:
// the last of them may be of a type that this release cannot read.
const quiet = 3 * time.Second

func newEvents(a *app) *cobra.Command {
	var (
		follow bool
		since  string
		types  []string
	)
	cmd := &cobra.Command{
		Use:   "events [ENV/NAME]",
		Short: "Print status events",
		Long: `Prints the status events that NATS keeps, oldest first, of one Infrastructure or
of all. With --follow it goes on with new ones until Ctrl-C; without --since it
then starts with new ones.`,
		Example: `  windlass events staging/users --since 10m
  windlass events --follow --type deployment,resource.failed -o json`,
		Args:              optional(1),
		ValidArgsFunction: a.completeScope,
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until Ctrl-C")
	cmd.Flags().StringVar(&since, "since", "", "start at a time (2026-01-31T12:00:00Z) or that long ago (10m)")
	cmd.Flags().StringSliceVar(&types, "type", nil, "only these types, such as deployment or resource.ready")
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		o, err := a.eventSelection(args, since, types)
		if err != nil {
			return err
		}
		o.All = !follow && o.Since.IsZero()
		conn, err := a.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		if !follow {
			found, err := a.hasEvents(ctx, conn, o)
			if err != nil || !found {
				return err
			}
		}
		follower, err := a.follow(ctx, conn, o)
		if err != nil {
			return err
		}
		defer follower.Close()
		if !follow {
			return a.printStored(ctx, follower)
		}
		f := &following{app: a, conn: conn, follower: follower, display: a.eventDisplay()}
		err = f.run(ctx, func(status events.Status) bool {
			f.display.show(status)
			return false
		})
		if errors.Is(err, context.Canceled) {
			return exitSilently(ExitInterrupted)
		}
		return err
	})
	return cmd
}

// eventSelection reads the arguments and flags.
func (a *app) eventSelection(args []string, since string, types []string) (events.FollowOptions, error) {
	var o events.FollowOptions
	if len(args) == 1 {
		scope, err := parseScope(args[0])
		if err != nil {
			return o, err
		}
		o.Scope = &scope
	}
	if since != "" {
		moment, err := parseSince(since, a.now())
		if err != nil {
			return o, err
		}
		o.Since = moment
	}
	for _, text := range types {
		full, err := expandType(text)
		if err != nil {
			return o, err
		}
		o.Types = append(o.Types, full...)
	}
	slices.Sort(o.Types)
	o.Types = slices.Compact(o.Types) // NATS refuses filters that overlap
	return o, nil
}

// hasEvents says whether the selection holds any stored event, so that reading
// them does not wait for one.
func (a *app) hasEvents(ctx context.Context, conn *nats.Conn, o events.FollowOptions) (bool, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return false, err
	}
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	stream, err := js.Stream(bounded, events.StatusStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = events.ErrNoStreams
	}
	if err != nil {
		return false, a.streamError("read the status events", err)
	}
	types := o.Types
	if len(types) == 0 {
		types = schemas.StatusTypes
	}
	scope := schemas.Scope{Environment: "*", Infrastructure: "*"}
	if o.Scope != nil {
		scope = *o.Scope
	}
	for _, t := range types {
		last, err := stream.GetLastMsgForSubject(bounded, events.StatusSubject(scope, t))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return false, a.streamError("read the status events", err)
		case !last.Time.Before(o.Since):
			return true, nil
		}
	}
	return false, nil
}

// printStored prints events until none waits behind the last one.
func (a *app) printStored(ctx context.Context, follower *events.Follower) error {
	d := a.eventDisplay()
	for {
		bounded, cancel := context.WithTimeout(ctx, quiet)
		status, err := follower.Next(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return exitSilently(ExitInterrupted)
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			return a.streamError("read the status events", err)
		}
		d.show(status)
		if status.Pending == 0 {
			return nil
		}
	}
}

// eventDisplay is the display of a list of events, on a terminal too.
func (a *app) eventDisplay() display {
	if a.json != nil {
		return &jsonDisplay{app: a}
	}
	return &plainDisplay{app: a, picture: newFleet()}
}

// parseSince reads a time, or how long ago it was.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := quantity.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(d)), nil
	}
	if moment, err := time.Parse(time.RFC3339, text); err == nil {
		return moment, nil
	}
	return time.Time{}, exitf(ExitUsage, "--since %q is neither a length of time such as 10m nor a time such as 2026-01-31T12:00:00Z", text)
}

// expandType reads a type in full, its short form such as resource.ready, or a
// noun such as resource, which stands for all of its types.
func expandType(text string) ([]string, error) {
	var full []string
	for _, t := range schemas.StatusTypes {
		short := schemas.ShortType(t)
		if t == text || short == text || strings.HasPrefix(short, text+".") {
			full = append(full, t)
		}
	}
	if len(full) == 0 {
		return nil, exitf(ExitUsage, "--type %q is not known; accepted are %s", text, strings.Join(shortTypes(), ", "))
	}
	return full, nil
}

// shortTypes are the nouns and the short forms of all types.
func shortTypes() []string {
	names := []string{"command", "deployment", "resource", "rollout", "container"}
	for _, t := range schemas.StatusTypes {
		names = append(names, schemas.ShortType(t))
	}
	return names
}

func completeTypes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return shortTypes(), cobra.ShellCompDirectiveNoFileComp
}
