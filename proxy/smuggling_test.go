package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// witness is a backend that keeps what it was asked, as it came over the wire.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func newWitness(t *testing.T) (*witness, string) {
	t.Helper()
	w := &witness{}
	return w, backend(t, "witness", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, fmt.Sprintf("%s %s %q", r.Method, r.URL.Path, text))
	})
}

func (w *witness) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// raw sends bytes as they are, and returns the statuses of what comes back until the
// connection is closed, or nothing more comes for a while.
func (s *scene) raw(text string, while time.Duration) []int {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	require.NoError(s, err)
	defer c.Close()
	_, err = io.WriteString(c, text)
	require.NoError(s, err)
	reader := bufio.NewReader(c)
	var statuses []int
	for {
		require.NoError(s, c.SetReadDeadline(time.Now().Add(while)))
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, response.Body)
		statuses = append(statuses, response.StatusCode)
	}
}

// What two sides could read differently is refused, or passed on in one reading only:
// no request hides in another's body.
func TestNoRequestHidesInAnother(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
	tests := map[string]struct {
		text string
		// seen is what may reach the backend.
		seen []string
	}{
		// The encoding counts (RFC 9112, 6.1), and one request follows the other.
		"both lengths":                  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, []string{`POST / ""`, `GET /hidden ""`}},
		"two lengths":                   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n" + hidden, nil},
		"two equal lengths":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", []string{`POST / "ok"`}},
		"a list of lengths":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 40\r\n\r\n" + hidden, nil},
		"a signed length":               {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +40\r\n\r\n" + hidden, nil},
		"an encoding in disguise":       {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + hidden, nil},
		"an encoding with a tab":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\n", []string{`POST / ""`}},
		"an encoding before a space":    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden, nil},
		"two encodings":                 {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", nil},
		"two encodings on one line":     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, nil},
		"an encoding twice on one line": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + hidden, nil},
		// Which has none: the length counts, and nothing follows on this connection.
		"an encoding of the old protocol":  {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden, []string{"POST / \"0\\r\\n\\r\\n\""}},
		"a length in hexadecimal digits":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\nok" + hidden, nil},
		"a length with a zero before it":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nok", []string{`POST / "ok"`}},
		"a length between spaces":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t 2 \t\r\n\r\nok", []string{`POST / "ok"`}},
		"a length that is empty":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n" + hidden, nil},
		"lines that end with a line feed":  {"POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nok" + hidden, []string{`POST / "ok"`, `GET /hidden ""`}},
		"a chunk size before a line feed":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n" + hidden, []string{`POST / ""`}},
		"a folded header":                  {"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n\r\n", []string{`GET / ""`}},
		"a chunk size that is none":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", []string{`POST / ""`}},
		"a chunk size with a sign":         {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", []string{`POST / ""`}},
		"a chunk that is too long":         {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", []string{`POST / ""`, `POST / "ab"`}},
		"a chunk size that overflows":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\nabc\r\n0\r\n\r\n", []string{`POST / ""`}},
		"an endless chunk size":            {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 10000) + "\r\n\r\n" + hidden, []string{`POST / ""`}},
		"no host":                          {"GET / HTTP/1.1\r\n\r\n", nil},
		"two hosts":                        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", nil},
		"a name with a space":              {"GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n", nil},
		"a zero byte":                      {"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\x00c\r\n\r\n", nil},
		"a bare carriage return":           {"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n", nil},
		"a method with a space before it":  {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil},
		"a version that is none":           {"GET / HTTP/9.9\r\nHost: a\r\n\r\n", nil},
		"a request line with a line break": {"GET /\nX: y HTTP/1.1\r\nHost: a\r\n\r\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// Of its own, since a backend may tell of a broken request late.
			s := newScene(t, Options{})
			w, address := newWitness(t)
			s.apply(s.served(traffic.Policy{}, address))
			statuses := s.raw(test.text, 200*time.Millisecond)
			require.Equal(t, http.StatusOK, s.get("/after").status, "nothing is left over for the next request")
			const after = `GET /after ""`
			seen := w.take()
			require.Contains(t, seen, after)
			for _, one := range seen {
				require.Contains(t, append(test.seen, after), one, "the backend saw what it should not; the client saw %v", statuses)
			}
		})
	}
}

func TestNoProtocolIsSwitchedToPastTheProxy(t *testing.T) {
	s := newScene(t, Options{})
	upgrades := make(chan string, 10)
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(_ http.ResponseWriter, r *http.Request) {
		upgrades <- r.Header.Get("Upgrade") + r.Header.Get("Connection") + r.Header.Get("Http2-Settings")
	})))
	require.Equal(t, []int{http.StatusOK}, s.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", patience))
	require.Empty(t, <-upgrades)
}

func TestHeadersThatAreTooLargeAreRefused(t *testing.T) {
	s := newScene(t, Options{})
	w, address := newWitness(t)
	c := s.served(traffic.Policy{}, address)
	c.Listeners[0].MaxHeaderBytes = 4096
	s.apply(c)
	require.Equal(t, []int{http.StatusRequestHeaderFieldsTooLarge}, s.raw("GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 64<<10)+"\r\n\r\n", patience))
	require.Equal(t, []int{http.StatusRequestHeaderFieldsTooLarge}, s.raw("GET /"+strings.Repeat("a", 64<<10)+" HTTP/1.1\r\nHost: a\r\n\r\n", patience))
	require.Empty(t, w.take())
}

func TestAClientThatIsTooSlowIsGivenUp(t *testing.T) {
	s := newScene(t, Options{})
	w, address := newWitness(t)
	c := s.served(traffic.Policy{}, address)
	c.Listeners[0].ReadHeaderTimeout = period(50 * time.Millisecond)
	s.apply(c)
	slow, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	defer slow.Close()
	_, err = io.WriteString(slow, "GET / HTTP/1.1\r\nHost: a\r\nX-")
	require.NoError(t, err)
	require.NoError(t, slow.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadAll(slow)
	require.NoError(t, err, "the connection is closed")
	require.Empty(t, w.take())
}

func TestConnectionsOfClientsAreBounded(t *testing.T) {
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{}, backend(t, "a", nil))
	c.Listeners[0].MaxConnections = 2
	s.apply(c)
	var held []net.Conn
	for range 2 {
		connection, err := net.Dial("tcp", s.address)
		require.NoError(t, err)
		held = append(held, connection)
	}
	s.eventually(func() bool { return s.proxy.Status().Listeners[0].Connections == 2 }, "two are open")
	answered := make(chan answer, 1)
	go func() { answered <- s.get("/") }()
	select {
	case <-answered:
		require.Fail(t, "a third one was served")
	case <-time.After(100 * time.Millisecond):
	}
	held[0].Close()
	require.Equal(t, "a", (<-answered).text, "it waited for its turn")
	held[1].Close()
}
