package proxy

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABodyIsReadAgainFromItsBeginning(t *testing.T) {
	text := strings.Repeat("windlass", heldBytes/8)
	b := &body{source: io.NopCloser(strings.NewReader(text + "!"))}
	for range 2 {
		r, ok := b.again()
		require.True(t, ok)
		read := make([]byte, len(text))
		_, err := io.ReadFull(r, read)
		require.NoError(t, err)
		require.Equal(t, text, string(read))
		require.NoError(t, r.Close())
		_, err = r.Read(read)
		require.ErrorIs(t, err, io.ErrClosedPipe)
	}
	r, ok := b.again()
	require.True(t, ok)
	read, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, text+"!", string(read))
	require.False(t, b.replayable(), "one byte more than is held")
	_, ok = b.again()
	require.False(t, ok)
}

// awaitedReader tells when somebody waits for it.
type awaitedReader struct {
	io.ReadCloser
	awaited chan struct{}
}

func (a *awaitedReader) Read(p []byte) (int, error) {
	select {
	case a.awaited <- struct{}{}:
	default:
	}
	return a.ReadCloser.Read(p)
}

// A try whose answer came early may still wait for the client when the next one begins.
func TestAReaderThatIsLeftBehindTakesNothingFromTheNext(t *testing.T) {
	source, client := io.Pipe()
	awaited := make(chan struct{}, 1)
	b := &body{source: &awaitedReader{source, awaited}}
	former, _ := b.again()
	stuck := make(chan error, 1)
	go func() {
		_, err := former.Read(make([]byte, 2*heldBytes))
		stuck <- err
	}()
	<-awaited
	require.True(t, b.replayable(), "who asks does not wait for the client")
	require.True(t, b.rewind())
	text := strings.Repeat("windlass", heldBytes/8) + "!"
	go func() {
		_, _ = io.WriteString(client, text)
		_ = client.Close()
	}()
	require.NoError(t, <-stuck)
	next, ok := b.again()
	require.True(t, ok)
	_, err := former.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	read, err := io.ReadAll(next)
	require.NoError(t, err)
	require.True(t, text == string(read))
}
