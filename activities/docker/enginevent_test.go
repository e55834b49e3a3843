package docker

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestTheEngineRemembersHowAContainerEndedThatItHasRestarted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.started(l.compute("web", schemas.Compute{Args: []string{"-exit-after", "1s", "-exit-code", "3"}}), 0)
	var c container.InspectResponse
	l.eventually(func() bool {
		c = l.inspect(name)
		return c.RestartCount > 0 && c.State.Status == container.StateRunning
	}, "it was restarted")
	require.Zero(t, c.State.ExitCode, "the container has forgotten it")
	code, known := l.provider.lastExitCode(t.Context(), &c)
	require.True(t, known)
	require.Equal(t, 3, code)
}
