package stack

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPickedPortIsKeptFromOthersUntilItsServerListens(t *testing.T) {
	t.Parallel()
	r, err := reserve("Temporal", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = pick(r.ip(), r.port())
	require.Error(t, err, "nobody may listen yet")

	r.release()
	_, err = pick(r.ip(), r.port())
	require.Error(t, err, "its server is about to listen")
	server, err := net.Listen("tcp", r.dial())
	require.NoError(t, err, "its server may listen")

	r.close()
	_, err = pick(r.ip(), r.port())
	require.Error(t, err, "its server listens")
	require.NoError(t, server.Close())
	again, err := pick(r.ip(), r.port())
	require.NoError(t, err, "nobody wants it any more")
	again.close()
}
