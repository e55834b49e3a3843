package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Between the choice and the request an endpoint may be taken out. Whoever does so and
// sees nothing in flight ends it.
func TestAnEndpointThatWasTakenOutSinceItWasChosenGetsNothing(t *testing.T) {
	e := crowd(1, one)[0]
	require.True(t, e.begin())
	e.draining.Store(true)
	require.False(t, e.begin())
	require.Equal(t, int64(1), e.inFlight.Load())
	require.Equal(t, int64(1), e.requests.Load())
	idle := make(chan error, 1)
	go func() { idle <- e.awaitIdle(t.Context()) }()
	e.end()
	require.NoError(t, <-idle)
}
