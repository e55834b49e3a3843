package worker

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"windlass/activities"
)

func TestSecurityGroupsAreRestoredAsSoonAsTheEngineAnswers(t *testing.T) {
	unavailable := &activities.Fault{Kind: activities.Unavailable, Message: "the engine does not answer"}
	for name, test := range map[string]struct {
		answers []error
		calls   int
	}{
		"at once":                       {[]error{nil, unavailable}, 1},
		"when it answers":               {[]error{unavailable, unavailable, nil, unavailable}, 3},
		"not where the right is wanted": {[]error{&activities.Fault{Kind: activities.Invalid, Message: "no right"}, nil}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				restoreSecurityGroups(t.Context(), func(context.Context) error {
					calls++
					return test.answers[calls-1]
				}, slog.New(slog.DiscardHandler))
				require.Equal(t, test.calls, calls)
			})
		})
	}
	t.Run("until the worker stops", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		restoreSecurityGroups(ctx, func(context.Context) error { cancel(); return unavailable }, slog.New(slog.DiscardHandler))
	})
}
