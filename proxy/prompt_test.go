package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deadlines is an answer that notes what bounds its request.
type deadlines struct {
	*httptest.ResponseRecorder
	read []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.read = append(d.read, at)
	return nil
}

func TestABodyIsBoundWhileItsClientIsWaitedFor(t *testing.T) {
	prepare := func(protocol int, text io.Reader) (*deadlines, *promptBody) {
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/", text)
		r.ProtoMajor = protocol
		return d, newPromptBody(d, r, time.Minute)
	}
	latest := func(d *deadlines) time.Time { return d.read[len(d.read)-1] }

	d, body := prepare(2, strings.NewReader("hello"))
	_, err := body.Read(make([]byte, 1))
	require.NoError(t, err)
	require.Len(t, d.read, 2)
	require.WithinDuration(t, time.Now().Add(time.Minute), d.read[0], time.Minute/2)
	require.Zero(t, latest(d), "with HTTP/2 the time would go by while the endpoint is waited for")
	body.moved()
	require.Zero(t, latest(d), "nobody waits")
	body.finish()
	known := len(d.read)
	_, _ = body.Read(make([]byte, 1))
	body.moved()
	body.interrupt()
	require.Len(t, d.read, known, "what outlives a request asks nothing of it")

	d, body = prepare(1, strings.NewReader("hello"))
	require.Len(t, d.read, 1, "the server may read before anybody else")
	_, err = body.Read(make([]byte, 5))
	require.NoError(t, err)
	require.NotZero(t, latest(d))
	_, err = body.Read(make([]byte, 5))
	require.ErrorIs(t, err, io.EOF)
	require.Zero(t, latest(d), "the endpoint is waited for now")

	d, body = prepare(1, strings.NewReader("hello"))
	body.interrupt()
	_, err = body.Read(make([]byte, 1))
	require.NoError(t, err)
	require.Equal(t, past, latest(d), "its time is over")

	source, client := io.Pipe()
	awaited := make(chan struct{}, 1)
	d, body = prepare(2, &awaitedReader{source, awaited})
	ended := make(chan struct{})
	go func() {
		_, _ = body.Read(make([]byte, 5))
		close(ended)
	}()
	<-awaited
	body.moved()
	require.NoError(t, client.Close())
	<-ended
	require.Len(t, d.read, 3, "an answer that goes on gives time")
}

// drip is a connection that takes one byte in the time that there is.
type drip struct {
	net.Conn
	taken []byte
	most  int
}

func (d *drip) SetWriteDeadline(time.Time) error { return nil }

func (d *drip) Write(p []byte) (int, error) {
	if len(d.taken) == d.most {
		return 0, os.ErrDeadlineExceeded
	}
	d.taken = append(d.taken, p[0])
	if len(p) == 1 {
		return 1, nil
	}
	return 1, os.ErrDeadlineExceeded
}

func TestAClientThatTakesSomethingInTimeIsNotGivenUp(t *testing.T) {
	slow := &drip{most: 100}
	n, err := (&promptConnection{slow, time.Second}).Write([]byte("windlass"))
	require.NoError(t, err)
	require.Equal(t, 8, n)
	require.Equal(t, "windlass", string(slow.taken))
	n, err = (&promptConnection{&drip{most: 3}, time.Second}).Write([]byte("windlass"))
	require.True(t, errors.Is(err, os.ErrDeadlineExceeded))
	require.Equal(t, 3, n)
}
