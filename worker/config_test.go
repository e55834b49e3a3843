package worker

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheMasterKeyIsReadFromASafeFile(t *testing.T) {
	directory := t.TempDir()
	key := bytes.Repeat([]byte{0, 10, 255, 7}, 8)
	file := func(name string, content []byte, mode os.FileMode) string {
		path := filepath.Join(directory, name)
		require.NoError(t, os.WriteFile(path, content, mode))
		return path
	}
	read, err := LoadMasterKey(file("good", key, 0o600))
	require.NoError(t, err)
	require.Equal(t, key, read)
	tests := map[string]struct{ path, message string }{
		"no file named":              {"", "no master key: give --master-key-file"},
		"no such file":               {filepath.Join(directory, "none"), "does not exist; make one with: (umask 077; head -c 32 /dev/urandom > "},
		"a file that others read":    {file("open", key, 0o644), "can be read by others; run: chmod 600 "},
		"a file that the group read": {file("group", key, 0o640), "can be read by others"},
		"a key that is too short":    {file("short", key[:31], 0o600), "holds 31 bytes; at least 32 are needed"},
		"a directory":                {directory, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadMasterKey(test.path)
			require.ErrorContains(t, err, test.message)
		})
	}
}

func TestAWorkerSaysWhatIsMissingAtTheStart(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, make([]byte, 32), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().String()
	require.NoError(t, listener.Close())
	logger := slog.New(slog.DiscardHandler)
	require.ErrorContains(t, Run(t.Context(), Config{Logger: logger}), "no master key")
	require.ErrorContains(t, Run(t.Context(), Config{Logger: logger, MasterKeyFile: key, NATSURL: "nats://" + nobody}), "connect to NATS at nats://"+nobody)
	d := openDesk(t, nil)
	err = Run(t.Context(), Config{Logger: logger, MasterKeyFile: key, NATSURL: d.conn.ConnectedUrl(), TemporalAddress: nobody, Namespace: "default"})
	require.ErrorContains(t, err, "connect to Temporal at "+nobody)
}
