package worker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyLongPayloadsAreCompressed(t *testing.T) {
	short, long := "a plan", strings.Repeat("create resource, ", 200_000)
	payloads, err := DataConverter().ToPayloads(short, long)
	require.NoError(t, err)
	require.Equal(t, `"a plan"`, string(payloads.Payloads[0].Data))
	require.Less(t, len(payloads.Payloads[1].Data), longPayload)
	var readShort, readLong string
	require.NoError(t, DataConverter().FromPayloads(payloads, &readShort, &readLong))
	require.Equal(t, short, readShort)
	require.Equal(t, long, readLong)
}
