package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func TestALedgerRemembersWhatWasRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	scope := schemas.Scope{Environment: "test", Infrastructure: "large"}
	declare := func(name, hash string) plan.Desired {
		return plan.Desired{Target: plan.Target{Scope: scope, Resource: name, Type: schemas.TypeStorage, Provider: "ledger"}, Revision: 1, SpecHash: hash}
	}
	l, err := Open(path)
	require.NoError(t, err)
	for _, d := range []plan.Desired{declare("a", "1"), declare("b", "1"), declare("a", "1"), declare("a", "2")} {
		_, err := l.Apply(t.Context(), d, activities.NewSecretsNone(), nil)
		require.NoError(t, err)
	}
	require.Equal(t, 3, l.Lines(), "what is as declared is not written again")
	require.NoError(t, l.Delete(t.Context(), declare("b", "").Target, nil))
	require.NoError(t, l.Close())

	// A process that dies in the middle of a line.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"resource":{"resou`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	again, err := Open(path)
	require.NoError(t, err)
	defer again.Close()
	found, err := again.Observe(t.Context(), scope)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "a", found[0].Resource)
	require.Equal(t, "2", found[0].SpecHash)
	_, err = again.Apply(t.Context(), declare("c", "1"), activities.NewSecretsNone(), nil)
	require.NoError(t, err)
	third, err := Open(path)
	require.NoError(t, err)
	defer third.Close()
	require.Len(t, third.held, 2)
}
