package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// unreachable is an address where no connection is refused and none is opened: the queue
// of those that wait to be accepted is full, and the kernel says nothing to others.
func unreachable(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(socket) })
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(socket, 0))
	bound, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	require.Fail(t, "every connection is opened")
	return ""
}

func TestAConnectionThatDoesNotOpenIsGivenUpInTime(t *testing.T) {
	policy := traffic.Policy{
		Timeout: traffic.Timeouts{ConnectTimeout: period(50 * time.Millisecond), HeaderTimeout: period(10 * time.Second), RequestTimeout: period(10 * time.Second)},
		Retry:   &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.RetryConnectFailure}},
	}
	silent := unreachable(t)
	t.Run("a request goes elsewhere", func(t *testing.T) {
		s := newScene(t, Options{})
		s.apply(s.served(policy, silent, backend(t, "b", nil)))
		for range 4 { // each of the two has its turn
			require.Equal(t, "b", s.get("/").text, "all of the request's time went into one connection")
		}
		require.NotZero(t, s.endpoint("e0").Faults)
	})
	t.Run("a caller is told what it was", func(t *testing.T) {
		s := newScene(t, Options{})
		s.apply(s.served(policy, silent))
		given := s.get("/")
		require.Equal(t, http.StatusGatewayTimeout, given.status)
		require.Equal(t, string(timedOut), given.header.Get(ErrorHeader))
	})
	t.Run("so does a connection of bytes", func(t *testing.T) {
		s := newScene(t, Options{})
		c := s.served(policy, silent, backend(t, "b", nil))
		c.Listeners[0].Protocol = traffic.TCP
		s.apply(c)
		for range 4 {
			require.Equal(t, "b", s.get("/").text)
		}
	})
}

func TestAConnectionOnWhichNothingHappensIsClosed(t *testing.T) {
	policy := traffic.Policy{Timeout: traffic.Timeouts{IdleTimeout: period(100 * time.Millisecond)}}

	// ended says that the proxy closes this connection, and long before it would without a bound.
	// What it still gave ends with last.
	ended := func(t *testing.T, c net.Conn, last string) {
		t.Helper()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience/4)))
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, last, string(rest[max(0, len(rest)-1):]))
	}
	t.Run("a client's and an endpoint's", func(t *testing.T) {
		s := newScene(t, Options{})
		var open, opened atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a") }))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
				opened.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		s.apply(s.served(policy, strings.TrimPrefix(server.URL, "http://")))
		c := s.dial()
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, "a", s.answered(c).text)
		ended(t, c, "")
		require.EqualValues(t, 1, opened.Load())
		s.eventually(func() bool { return open.Load() == 0 }, "the endpoint's is closed too")
		require.Equal(t, "a", s.get("/").text, "a new one is opened")
		require.Zero(t, s.endpoint("e0").Faults)
	})
	t.Run("one of bytes, but not while one side speaks", func(t *testing.T) {
		s := newScene(t, Options{})
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { listener.Close() })
		const speaks = "s" // asks the endpoint to speak all the time
		enough, gone := make(chan struct{}), make(chan struct{}, 3)
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					first := make([]byte, 1)
					_, _ = io.ReadFull(c, first)
					if string(first) == speaks {
						for spoken := false; !spoken; {
							_, _ = io.WriteString(c, "a")
							select {
							case <-enough:
								spoken = true
							case <-time.After(10 * time.Millisecond):
							}
						}
						_, _ = io.WriteString(c, "z")
					}
					_, _ = io.ReadAll(c)
					gone <- struct{}{}
				}()
			}
		}()
		c := s.served(traffic.Policy{Timeout: traffic.Timeouts{IdleTimeout: period(time.Second)}}, listener.Addr().String())
		c.Listeners[0].Protocol = traffic.TCP
		s.apply(c)
		ask := func(first string) net.Conn {
			c := s.dial()
			_, err := io.WriteString(c, first)
			require.NoError(t, err)
			return c
		}
		long := ask(speaks)
		for range 2 { // their time is over, one after the other, while the other one lasts
			ended(t, ask("-"), "")
		}
		close(enough)
		ended(t, long, "z")
		for range 3 {
			select {
			case <-gone:
			case <-time.After(patience / 4):
				require.Fail(t, "an endpoint's connection is still open")
			}
		}
	})
}
