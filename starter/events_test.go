package starter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestEventsPrintsWhatIsKept(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	require.Empty(t, ran(t, ExitDone, w.url, "events").stdout.String())

	s := newStory("c", 3).accepted().planned().creating("backend").ready("backend").succeeded()
	w.publish(t, s.events...)
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"all":                         {[]string{}, len(s.events)},
		"of one":                      {[]string{"staging/users"}, len(s.events)},
		"of one that has none":        {[]string{"staging/other"}, 0},
		"of a type":                   {[]string{"--type", "resource.ready"}, 1},
		"of a noun":                   {[]string{"--type", "resource"}, 2},
		"of types that overlap":       {[]string{"--type", "resource,resource.ready", "--type", schemas.StatusCommandAccepted}, 3},
		"of a type that has none":     {[]string{"--type", "resource.failed"}, 0},
		"since before":                {[]string{"--since", "1h"}, len(s.events)},
		"since a time after the last": {[]string{"--since", time.Now().Add(time.Hour).Format(time.RFC3339)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := ran(t, ExitDone, w.url, append([]string{"events"}, c.args...)...)
			require.Equal(t, c.want, strings.Count(p.stdout.String(), "\n"), p.stdout.String())
		})
	}
	lines := jsonOutputOf(t, ran(t, ExitDone, w.url, "events", "-o", "json"), "events")
	require.Len(t, lines, 1+len(s.events))
	require.Equal(t, "1.0", lines[1]["specversion"])
}

func TestEventsFollowsUntilCtrlC(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := start(t, w.url, "events", "--follow", "--since", "1h")
	s := newStory("c", 3).accepted().planned().succeeded()
	w.publish(t, s.events...)
	eventually(t, func() bool { return strings.Contains(p.stdout.String(), plainLine(s.events[3])) }, "the last event")
	p.interrupt()
	require.Equal(t, ExitInterrupted, p.wait(t))
	require.Empty(t, p.stderr.String())
}

func TestWatchFollowsOneOrAll(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"one": {"watch", "staging/users"}, "all": {"watch"}} {
		t.Run(name, func(t *testing.T) {
			w := startWorker(t, nil)
			w.know(usersStatus())
			p := start(t, w.url, args...)
			s := newStory("c", 4).accepted().planned()
			// What is published before the command follows is not its business, so
			// events are published until one arrives.
			eventually(t, func() bool {
				w.publish(t, s.creating("backend").events[len(s.events)-1])
				return strings.Contains(p.stdout.String(), "staging/users backend creating")
			}, "an event")
			p.interrupt()
			require.Equal(t, ExitInterrupted, p.wait(t))
			require.Empty(t, p.stderr.String())
		})
	}
}

func TestWatchWaitsForWhatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := start(t, w.url, "watch", "staging/users")
	eventually(t, func() bool { return p.stderr.String() != "" }, "the note")
	require.Equal(t, "windlass: no Infrastructure staging/users is known; waiting for events\n", p.stderr.String())
	s := newStory("c", 1).accepted()
	w.publish(t, s.events...)
	eventually(t, func() bool { return strings.Contains(p.stdout.String(), plainLine(s.events[0])) }, "the event")
	p.interrupt()
	require.Equal(t, ExitInterrupted, p.wait(t))
}
