package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"windlass/schemas/traffic"
)

// headers are what a backend was asked with, one request after the other.
func headers(t *testing.T, answer http.HandlerFunc) (chan http.Header, string) {
	t.Helper()
	seen := make(chan http.Header, 10)
	return seen, backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		if answer != nil {
			answer(w, r)
		}
	})
}

func TestWhatIsOfOneHopGoesNoFurther(t *testing.T) {
	s := newScene(t, Options{})
	seen, address := headers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "X-Inner, Keep-Alive")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Inner", "for the proxy alone")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-Outer", "for everybody")
	})
	s.apply(s.served(traffic.Policy{}, address))
	c := s.dial()
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, X-Forwarded-For, X-Forwarded-Host, Traceparent, close\r\n"+
		"X-Mine: for the proxy alone\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic YTpi\r\nTE: deflate\r\nTrailer: X-Late\r\n"+
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: elsewhere\r\nForwarded: for=192.0.2.1\r\nX-Yours: for the backend\r\n"+
		// A gateway to CGI or WSGI takes them for the same.
		"X_Forwarded_For: 192.0.2.1\r\nx-forwarded_proto: https\r\nX_Yours: for the backend too\r\n\r\n")
	require.NoError(t, err)
	given := s.answered(c)
	require.Equal(t, http.StatusOK, given.status)
	got := <-seen
	for _, name := range []string{"X-Mine", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Connection", "Upgrade", "Forwarded"} {
		require.Empty(t, got.Values(name), name)
	}
	require.Equal(t, "for the backend", got.Get("X-Yours"))
	require.Equal(t, "for the backend too", got.Get("X_Yours"))
	for name := range got {
		require.NotContains(t, strings.ToLower(name), "forwarded_", "an address that the client claims")
		require.NotContains(t, strings.ToLower(name), "_forwarded", "an address that the client claims")
	}
	require.Equal(t, []string{"127.0.0.1"}, got.Values("X-Forwarded-For"), "who asked is said by the proxy alone")
	require.Equal(t, []string{"a"}, got.Values("X-Forwarded-Host"))
	for _, name := range []string{"X-Inner", "Keep-Alive", "Proxy-Authenticate"} {
		require.Empty(t, given.header.Values(name), name)
	}
	require.Equal(t, "for everybody", given.header.Get("X-Outer"))
}

func TestACopyIsOfWhatIsPassedOn(t *testing.T) {
	s := newScene(t, Options{})
	seen, address := headers(t, nil)
	copied, mirror := headers(t, nil)
	c := s.served(traffic.Policy{Retry: &traffic.Retry{}}, address)
	c.Services = append(c.Services, traffic.Service{Name: "copy", Endpoints: []traffic.Endpoint{{ID: "m", Address: mirror}}})
	c.Services[0].Mirror = &traffic.Mirror{Service: "copy"}
	s.apply(c)
	for _, request := range []string{"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nContent-Length: 5\r\n"} {
		client := s.dial()
		_, err := io.WriteString(client, request+"Host: a\r\nConnection: X-Mine, close\r\nX-Mine: for the proxy alone\r\nProxy-Authorization: Basic YTpi\r\nX-Forwarded-For: 192.0.2.1\r\n\r\nhello")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, s.answered(client).status)
		original, duplicate := <-seen, <-copied
		require.Empty(t, original.Values("X-Mine"))
		require.Equal(t, original, duplicate)
	}
}

func TestATrailerReplacesNoHeader(t *testing.T) {
	s := newScene(t, Options{})
	seen := make(chan *http.Request, 1)
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r
	})))
	late := func(names, fields string) []int {
		return s.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: "+names+"\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n"+fields+"\r\n", patience)
	}
	require.Equal(t, []int{http.StatusOK}, late("Host, X-Forwarded-For, X-Late", "Host: elsewhere\r\nX-Forwarded-For: 192.0.2.1\r\nX-Late: yes\r\nContent-Length: 100\r\n"))
	r := <-seen
	require.Equal(t, "a", r.Host)
	require.Empty(t, r.Header.Values("Host"))
	require.Equal(t, []string{"127.0.0.1"}, r.Header.Values("X-Forwarded-For"))
	require.Empty(t, r.Header.Values("X-Late"))
	require.Empty(t, r.Trailer.Values("Content-Length"), "it was not announced")
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		require.Equal(t, []int{http.StatusBadRequest}, late(name, name+": 100\r\n"), name)
	}
	require.Empty(t, seen, "a message that frames itself twice is passed on")
}

func TestOneHostIsMeant(t *testing.T) {
	s := newScene(t, Options{})
	hosts := make(chan string, 1)
	public := backend(t, "public", func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })
	private := backend(t, "private", func(http.ResponseWriter, *http.Request) { hosts <- "private" })
	c := s.served(traffic.Policy{}, public)
	c.Services = append(c.Services, traffic.Service{Name: "private", Endpoints: []traffic.Endpoint{{ID: "p", Address: private}}})
	c.Listeners[0].Routes = []traffic.Route{{Host: "private.test", Service: "private"}}
	s.apply(c)
	// The target counts where it is absolute (RFC 9112, 3.2.2), for the route and for the backend.
	require.Equal(t, []int{http.StatusOK}, s.raw("GET http://public.test/ HTTP/1.1\r\nHost: private.test\r\nConnection: close\r\n\r\n", patience))
	require.Equal(t, "public.test", <-hosts)
	for _, odd := range []string{"private.test\tx", "private.test,public.test", "private.test@public.test", "private.test public.test", "private.test/x"} {
		statuses := s.raw("GET / HTTP/1.1\r\nHost: "+odd+"\r\nConnection: close\r\n\r\n", patience)
		if len(hosts) > 0 {
			require.NotEqual(t, "private", <-hosts, odd)
			continue
		}
		require.Equal(t, []int{http.StatusBadRequest}, statuses, odd)
	}
}

// frames is a client that speaks HTTP/2 as it likes.
type frames struct {
	*testing.T
	net.Conn
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (s *scene) frames() *frames {
	s.Helper()
	c := s.dial()
	_, err := io.WriteString(c, http2.ClientPreface)
	require.NoError(s, err)
	f := &frames{T: s.T, Conn: c, Framer: http2.NewFramer(c, bufio.NewReader(c))}
	f.AllowIllegalWrites = true
	f.encoder = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	require.NoError(s, f.WriteSettings())
	return f
}

// ask sends a request on a stream, and returns its status; 0 where there is none.
func (f *frames) ask(stream uint32, text string, fields ...string) (status string) {
	f.Helper()
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		require.NoError(f, f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	require.NoError(f, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: text == ""}))
	if text != "" {
		require.NoError(f, f.WriteData(stream, true, []byte(text)))
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return "reset"
			}
		case *http2.GoAwayFrame:
			return "closed"
		}
	}
}

func TestNothingHidesInARequestOfHTTP2(t *testing.T) {
	ordinary := []string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a"}
	with := func(more ...string) []string { return append(append([]string{}, ordinary...), more...) }
	tests := map[string]struct {
		fields []string
		text   string
	}{
		"an encoding":                    {with("transfer-encoding", "chunked"), "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"},
		"a header of one hop":            {with("connection", "x-forwarded-for"), ""},
		"a line break in a value":        {with("x-a", "b\r\nContent-Length: 0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"), ""},
		"a line break in a name":         {with("x-a: b\r\nx-b", "c"), ""},
		"a colon in a name":              {with("x-a:b", "c"), ""},
		"a name in capitals":             {with("X-A", "b"), ""},
		"a zero byte":                    {with("x-a", "b\x00c"), ""},
		"a length that is too short":     {with("content-length", "3"), "abcGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"},
		"a length that is too long":      {with("content-length", "100"), "abc"},
		"a line break in the path":       {[]string{":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /hidden", ":authority", "a"}, ""},
		"a line break in the method":     {[]string{":method", "GET /hidden HTTP/1.1\r\nX: y\r\n\r\nGET", ":scheme", "http", ":path", "/", ":authority", "a"}, ""},
		"a line break in the host":       {[]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a\r\nX: y"}, ""},
		"two paths":                      {[]string{":method", "GET", ":scheme", "http", ":path", "/", ":path", "/hidden", ":authority", "a"}, ""},
		"a pseudo header after a header": {[]string{":method", "GET", ":scheme", "http", "x-a", "b", ":path", "/", ":authority", "a"}, ""},
		"a pseudo header that is none":   {with(":proxy", "b"), ""},
		"no path":                        {[]string{":method", "GET", ":scheme", "http", ":authority", "a"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, Options{})
			w, address := newWitness(t)
			s.apply(s.served(traffic.Policy{}, address))
			f := s.frames()
			status := f.ask(1, test.text, test.fields...)
			require.NotEqual(t, "200", status)
			require.Equal(t, http.StatusOK, s.get("/after").status)
			for _, one := range w.take() {
				// What was begun may have been seen, and was broken off.
				require.Contains(t, []string{`GET /after ""`, `POST / ""`, `POST / "abc"`}, one, "the client saw %s", status)
			}
		})
	}
	for name, test := range map[string]struct {
		fields     []string
		text, seen string
	}{
		"an ordinary one":             {with("content-length", "2", "te", "trailers"), "ok", `POST / "ok"`},
		"a length beside another one": {with("content-length", "3", "content-length", "4"), "abc", `POST / "abc"`},
		"a space in the path":         {[]string{":method", "GET", ":scheme", "http", ":path", "/a HTTP/1.1", ":authority", "a"}, "", `GET /a HTTP/1.1 ""`},
	} {
		t.Run(name+" is passed on in one reading", func(t *testing.T) {
			t.Parallel()
			s := newScene(t, Options{})
			w, address := newWitness(t)
			s.apply(s.served(traffic.Policy{}, address))
			require.Equal(t, "200", s.frames().ask(1, test.text, test.fields...))
			require.Equal(t, http.StatusOK, s.get("/after").status)
			require.Equal(t, []string{test.seen, `GET /after ""`}, w.take())
		})
	}
}

// answering is a server that answers the first request with these bytes, and others, on
// other connections or the same, with their path.
func answering(t *testing.T, first string, closes bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	var asked atomic.Int64
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				reader := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if asked.Add(1) > 1 {
						fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.URL.Path), r.URL.Path)
						continue
					}
					if _, err := io.WriteString(c, first); err != nil || closes {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAnAnswerThatIsBrokenIsNobodyElses(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	tests := map[string]struct {
		answer string
		closes bool
		// whole is what the client gets where it gets an answer to the end.
		whole string
	}{
		// The encoding counts, and what is after it belongs to nobody.
		"both lengths":             {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, false, "ok"},
		"two lengths":              {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok" + evil, false, ""},
		"a length that is none":    {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok" + evil, false, ""},
		"more than its length":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + evil, false, "ok"},
		"less than its length":     {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", true, ""},
		"a chunk size that is bad": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n" + evil, false, ""},
		"a chunk that breaks off":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", true, ""},
		"an unknown encoding":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok" + evil, false, ""},
		// It is not passed on.
		"a name with a space":    {"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok", false, "ok"},
		"a zero byte":            {"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 2\r\n\r\nok", false, ""},
		"no status":              {"HTTP/1.1 OK\r\n\r\n", false, ""},
		"something else":         {"SSH-2.0-OpenSSH\r\n", true, ""},
		"nothing":                {"", true, ""},
		"a switch nobody wanted": {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + evil, false, ""},
		"endless headers":        {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 12<<20) + "\r\n\r\n", true, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, Options{})
			s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{HeaderTimeout: period(5 * time.Second)}}, answering(t, test.answer, test.closes)))
			c := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer c.CloseIdleConnections()
			get := func(path string) (answer, error) {
				response, err := c.Get(s.url(path))
				if err != nil {
					return answer{}, err
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				return answer{response.StatusCode, string(text), response.Header}, err
			}
			first, err := get("/first")
			switch {
			case test.whole != "":
				require.NoError(t, err)
				require.Equal(t, test.whole, first.text)
			case err == nil:
				require.Equal(t, http.StatusBadGateway, first.status)
				require.Equal(t, string(network), first.header.Get(ErrorHeader))
			}
			for _, path := range []string{"/second", "/third"} {
				next, err := get(path)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, next.status)
				require.Equal(t, path, next.text, "the answer to something else")
			}
		})
	}
}
