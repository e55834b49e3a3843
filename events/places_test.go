package events

import (
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestPlacesAreKnownUntilTheyAreForgotten(t *testing.T) {
	b := startBus(t, nil)
	places, err := OpenPlaces(b.context(), b.js)
	require.NoError(t, err)
	users := schemas.Scope{Environment: "staging", Infrastructure: "users"}
	other := schemas.Scope{Environment: "staging", Infrastructure: "users-2"}
	known := func(scope schemas.Scope) []string {
		names, err := places.Of(b.context(), scope)
		require.NoError(t, err)
		return names
	}
	require.Empty(t, known(users))
	for range 2 {
		require.NoError(t, places.Add(b.context(), users, "prod-eu"))
		require.NoError(t, places.Add(b.context(), users, "docker"))
	}
	require.NoError(t, places.Add(b.context(), other, "edge-1"))
	require.Equal(t, []string{"docker", "prod-eu"}, known(users))
	for range 2 {
		require.NoError(t, places.Remove(b.context(), users, "docker"))
	}
	require.Equal(t, []string{"prod-eu"}, known(users))
	require.Equal(t, []string{"edge-1"}, known(other))
	require.NoError(t, places.Add(b.context(), users, "docker"), "it comes back")
	require.Equal(t, []string{"docker", "prod-eu"}, known(users))
}
