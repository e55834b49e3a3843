package host

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestLockLetsOneInAtATime(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var inside, most atomic.Int64
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			unlock, err := Lock(t.Context(), "test", nil)
			if err != nil {
				return err
			}
			defer unlock()
			most.Store(max(most.Load(), inside.Add(1)))
			inside.Add(-1)
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, most.Load())
}

func TestLockSaysThatItWaitsAndGivesUpWithItsContext(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	unlock, err := Lock(t.Context(), "test", nil)
	require.NoError(t, err)
	defer unlock()

	ctx, cancel := context.WithCancel(t.Context())
	waited := 0 // counted once, however long it waits
	_, err = Lock(ctx, "test", func() { waited++; cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, waited)
}

func TestLastLines(t *testing.T) {
	cases := map[string]struct {
		text string
		want string
	}{
		"nothing is nothing":          {"", ""},
		"fewer lines are all kept":    {"a\n", "a"},
		"only the last ones are kept": {"a\nb\nc\n", "b\nc"},
		"blank lines do not count":    {"a\n\n b\r\n\n", "a\n b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, LastLines(c.text, 2)) })
	}
}
