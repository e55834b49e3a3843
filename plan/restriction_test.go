package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARestrictedPlanMovesTheTargetsAndWhatTheyNeed(t *testing.T) {
	whole := Diff(
		[]Desired{declared("backend", "b"), declared("db", "new", "backend"), declared("web", "w", "db"), declared("mail", "m", "backend")},
		[]Observed{found("db", "old", "backend"), found("old", "o")},
	)
	restricted, partial := whole.Restrict([]string{"db"})
	require.True(t, partial)
	require.Equal(t, "1 to create, 1 to update, 3 unchanged", restricted.String())
	require.Contains(t, lines(restricted), `create web: is not among the targets ["update db"]`)
	require.Equal(t, "3 to create, 1 to update, 1 to delete", whole.String(), "the whole plan is changed")

	all, partial := whole.Restrict([]string{"backend", "db", "web", "mail", "old"})
	require.False(t, partial)
	require.Equal(t, whole, all)
	none, partial := whole.Restrict(nil)
	require.False(t, partial)
	require.Equal(t, whole, none)
}
