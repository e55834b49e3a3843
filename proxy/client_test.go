package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// dial opens a connection to the proxy that ends with the test.
func (s *scene) dial() *net.TCPConn {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	require.NoError(s, err)
	s.Cleanup(func() { c.Close() })
	require.NoError(s, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// answered is what comes back on a connection.
func (s *scene) answered(c net.Conn) answer {
	s.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(s, err)
	return answer{response.StatusCode, strings.TrimSpace(string(text)), response.Header}
}

func TestWhatIsTheClientsOwnFaultCountsAgainstNoEndpoint(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\n"
	tests := map[string]struct {
		text   string
		end    func(*net.TCPConn)
		status int
		kind   kind
	}{
		"a chunk size that is none":    {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", nil, http.StatusBadRequest, malformed},
		"a chunk that is too long":     {head + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", nil, http.StatusBadRequest, malformed},
		"a body that ends early":       {head + "Content-Length: 100\r\n\r\nhello", func(c *net.TCPConn) { _ = c.CloseWrite() }, http.StatusBadRequest, malformed},
		"a caller who leaves":          {head + "Content-Length: 100\r\n\r\nhello", func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }, 0, ""},
		"a body that does not come":    {head + "Content-Length: 100\r\n\r\nhello", nil, http.StatusRequestTimeout, tooSlow},
		"a body that becomes too long": {head + "Transfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("a", 1024) + "\r\n400\r\n" + strings.Repeat("a", 1024) + "\r\n", nil, http.StatusRequestEntityTooLarge, tooLarge},
	}
	policies := map[string]traffic.Timeouts{
		"the body's bound":    {BodyIdleTimeout: period(200 * time.Millisecond)},
		"the request's bound": {RequestTimeout: period(200 * time.Millisecond), BodyIdleTimeout: period(0)},
	}
	for name, test := range tests {
		for bound, timeouts := range policies {
			t.Run(name+" with "+bound, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, Options{})
				reads := func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusInternalServerError) // as servers do that know no better
					}
				}
				policy := traffic.Policy{
					CircuitBreaker:   &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Hour)},
					OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(1), BaseEjection: period(time.Hour)},
					Retry:            &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.Retry5xx, traffic.RetryReset, traffic.RetryTimeout, traffic.RetryConnectFailure}, NonIdempotent: true},
					Limits:           traffic.Limits{MaxBodyBytes: 1500}, Timeout: timeouts,
				}
				s.apply(s.served(policy, backend(t, "a", reads), backend(t, "b", reads)))
				c := s.dial()
				_, err := io.WriteString(c, test.text)
				require.NoError(t, err)
				if test.end != nil {
					s.eventually(func() bool { return s.endpoint("e0").InFlight+s.endpoint("e1").InFlight == 1 }, "it is passed on")
					test.end(c)
				}
				if test.status != 0 {
					given := s.answered(c)
					require.Equal(t, test.status, given.status)
					require.Equal(t, string(test.kind), given.header.Get(ErrorHeader))
				}
				require.Equal(t, http.StatusOK, s.post("all of it").status)
				requests := int64(0)
				for _, id := range []string{"e0", "e1"} {
					s.eventually(func() bool { return s.endpoint(id).InFlight == 0 }, "it is over")
					e := s.endpoint(id)
					require.Zero(t, e.Faults, id)
					require.Equal(t, string(breakerClosed), e.Breaker, id)
					require.Equal(t, StateReady, e.State, id)
					requests += e.Requests
				}
				require.EqualValues(t, 2, requests, "nothing was tried again")
			})
		}
	}
}

func TestAProbeThatItsClientBreaksOffIsNoProbe(t *testing.T) {
	s := newScene(t, Options{})
	failing := true
	address := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if failing {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s.apply(s.served(traffic.Policy{CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Millisecond)}}, address))
	s.post("")
	failing = false
	s.eventually(func() bool {
		c := s.dial()
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		require.NoError(t, err)
		return s.answered(c).status == http.StatusBadRequest
	}, "a broken request is the probe")
	require.Equal(t, string(breakerOpen), s.endpoint("e0").Breaker)
	require.Equal(t, http.StatusOK, s.post("").status, "the next one probes")
	require.Equal(t, string(breakerClosed), s.endpoint("e0").Breaker)
}

func TestAClientThatTakesNothingIsGivenUp(t *testing.T) {
	for name, secure := range map[string]bool{"in plain text": false, "with TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, Options{})
			gone := make(chan error, 1)
			address := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						gone <- err
						return
					}
				}
			})
			c := s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(200 * time.Millisecond)}}, address)
			var connection net.Conn
			if secure {
				a := newAuthority(t)
				a.issue("proxy", "proxy.test")
				c.Listeners[0].TLS = &traffic.ListenerTLS{CertificateFile: a.path("proxy.crt"), KeyFile: a.path("proxy.key")}
				s.apply(c)
				connection = tls.Client(s.dial(), &tls.Config{RootCAs: a.pool(), ServerName: "proxy.test"})
			} else {
				s.apply(c)
				connection = s.dial()
			}
			_, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			require.NoError(t, err)
			select {
			case <-gone:
			case <-time.After(patience):
				require.Fail(t, "the endpoint still writes")
			}
			s.eventually(func() bool { return s.endpoint("e0").InFlight == 0 }, "it is over")
			require.Zero(t, s.endpoint("e0").Faults)
		})
	}
}

// outlast returns when clients that were silent, so many of them one after the other, have
// been given up: their time is over, however slow everything is. The proxy passes what is
// below /silent to whom it passes everything.
func (s *scene) outlast(silent int) {
	for range silent {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			s.Error(err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || response.StatusCode != http.StatusRequestTimeout {
			s.Errorf("a silent client was not given up: %v, %v", response, err)
		}
		_ = c.Close()
	}
}

// silenced reads what silent clients send, and leaves other requests to answer.
func silenced(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		answer(w, r)
	}
}

func TestAnEndpointMayBeSilentForLongerThanAClient(t *testing.T) {
	s := newScene(t, Options{})
	const idle = time.Second
	address := backend(t, "a", silenced(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for range 2 {
			s.outlast(1) // as the events of a stream that is quiet
			fmt.Fprintf(w, "%s\n", text)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(idle)}}, address))
	// Two on one connection: what bounds the first says nothing to the second.
	c := s.dial()
	reader := bufio.NewReader(c)
	for range 2 {
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		require.NoError(t, err)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "hello\nhello\n", string(text))
	}
}

func TestWhenTooFewAreWellAllAreUsed(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			for _, test := range []struct {
				threshold float64
				well      int
				used      int
			}{{0, 1, 1}, {0, 0, 4}, {0.5, 2, 2}, {0.5, 1, 4}, {1, 3, 4}, {1, 4, 4}} {
				endpoints := crowd(5, one)
				endpoints[4].draining.Store(true)
				for _, e := range endpoints[test.well:] {
					e.unhealthy.Store(true)
				}
				b, used := newBalancer(policy), map[string]bool{}
				for range 400 {
					among, why := candidates(endpoints, nil, nil, test.threshold)
					require.Empty(t, why)
					used[b.choose(among).id] = true
				}
				require.Len(t, used, test.used, "%d of 4 are well, %v must be", test.well, test.threshold)
				require.False(t, used["e4"], "what leaves is none of them")
			}
		})
	}
}

func TestBytesArePassedThroughToEndpointsWithTLS(t *testing.T) {
	s, a := newScene(t, Options{}), newAuthority(t)
	a.issue("server", "db.test")
	a.issue("client", "proxy.test")
	pair, err := tls.LoadX509KeyPair(a.path("server.crt"), a.path("server.key"))
	require.NoError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()})
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				text, _ := io.ReadAll(c)
				_, _ = io.WriteString(c, strings.ToUpper(string(text)))
			}()
		}
	}()
	c := s.served(traffic.Policy{CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Hour)}}, listener.Addr().String())
	c.Listeners[0].Protocol = traffic.TCP
	exchange := func() string {
		client := s.dial()
		_, err := io.WriteString(client, "hello")
		require.NoError(t, err)
		require.NoError(t, client.CloseWrite())
		text, _ := io.ReadAll(client)
		return string(text)
	}
	secure := &traffic.ServiceTLS{CAFile: a.path("ca.crt"), CertificateFile: a.path("client.crt"), KeyFile: a.path("client.key")}
	c.Services[0].TLS = secure // the certificate carries the address too
	s.apply(c)
	require.Equal(t, "HELLO", exchange())
	c.Services[0].TLS = &traffic.ServiceTLS{CAFile: secure.CAFile, CertificateFile: secure.CertificateFile, KeyFile: secure.KeyFile, ServerName: "other.test"}
	s.apply(c)
	require.Empty(t, exchange(), "it is somebody else")
	require.Equal(t, string(breakerOpen), s.endpoint("e0").Breaker)
}

// pass sends a request with a body straight through the service.
func (s *scene) pass(body *clientBody) (*http.Response, error) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPut, s.url("/"), body)
	require.NoError(s, err)
	request.ContentLength = 0
	return (&passage{service: s.proxy.services["web"]}).RoundTrip(request)
}

func TestWhatAnEndpointAnswersToHalfOfARequestSaysNothingOfIt(t *testing.T) {
	s := newScene(t, Options{})
	var asked atomic.Int64
	address := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	s.apply(s.served(traffic.Policy{
		CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Millisecond)},
		Retry:          &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.Retry5xx}},
	}, address))
	broken := func() *clientBody {
		trouble := io.ErrUnexpectedEOF
		b := &clientBody{ReadCloser: http.NoBody}
		b.trouble.Store(&trouble)
		return b
	}
	pass := func() {
		response, err := s.pass(broken())
		require.NoError(t, err)
		require.Equal(t, http.StatusInternalServerError, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	pass()
	require.EqualValues(t, 1, asked.Load(), "it is not tried again")
	require.Equal(t, string(breakerClosed), s.endpoint("e0").Breaker)
	require.Zero(t, s.endpoint("e0").Faults)
	require.Equal(t, http.StatusInternalServerError, s.post("").status)
	require.Equal(t, string(breakerOpen), s.endpoint("e0").Breaker)
	s.eventually(s.proxy.services["web"].endpoints[0].settings.Load().breaker.ready, "the next one probes")
	pass()
	require.Equal(t, string(breakerOpen), s.endpoint("e0").Breaker, "it was no probe")
}

func TestTimeThatAClientTakesForAnAnswerIsNotTheEndpoints(t *testing.T) {
	for name, slow := range map[string]bool{"a slow client": true, "a slow endpoint": false} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Options{})
			address := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "begun")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{RequestTimeout: period(300 * time.Millisecond)}}, address))
			response, err := s.pass(&clientBody{ReadCloser: http.NoBody})
			require.NoError(t, err)
			defer response.Body.Close()
			if slow {
				<-response.Body.(*finishingBody).exchange.ctx.Done()
			}
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, !slow, s.endpoint("e0").Faults == 1)
		})
	}
}

// conversation is a stream of HTTP/2 in both directions.
type conversation struct {
	io.WriteCloser
	answers *bufio.Reader
}

// http2Client speaks HTTP/2 without TLS.
func (s *scene) http2Client() *http.Client {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	s.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// converse begins one, and returns when the answer has begun.
func (s *scene) converse() conversation {
	s.Helper()
	body, out := io.Pipe()
	s.Cleanup(func() { out.Close() })
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/"), body)
	require.NoError(s, err)
	response, err := s.http2Client().Do(request)
	require.NoError(s, err)
	require.Equal(s, http.StatusOK, response.StatusCode)
	s.Cleanup(func() { response.Body.Close() })
	return conversation{out, bufio.NewReader(response.Body)}
}

// echoing is an endpoint that answers at once, and then each line when it comes.
func echoing(t *testing.T) string {
	return http2Backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, lines.Text())
			_ = http.NewResponseController(w).Flush()
		}
	})
}

// http2Backend is a server that speaks HTTP/2 without TLS.
func http2Backend(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(handle)
	server.Config.Protocols = protocols
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestAStreamInBothDirectionsBeginsWithTheAnswer(t *testing.T) {
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{Retry: &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.Retry5xx}, NonIdempotent: true}}, echoing(t))
	c.Services[0].HTTP2 = true
	s.apply(c)
	stream := s.converse()
	for _, line := range []string{"one\n", "two\n"} {
		_, err := io.WriteString(stream, line)
		require.NoError(t, err)
		answer, err := stream.answers.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, line, answer)
	}
}

func TestWhoAsksWhetherToSendIsAnsweredWithoutSending(t *testing.T) {
	s := newScene(t, Options{})
	s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(0)}}))
	c := s.dial()
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	given := s.answered(c)
	require.Equal(t, http.StatusServiceUnavailable, given.status)
	require.Equal(t, string(noUpstream), given.header.Get(ErrorHeader))
}

func TestAStreamOfHTTP2ThatNobodyTakesIsGivenUpOnAConnectionThatMoves(t *testing.T) {
	s := newScene(t, Options{})
	gone := make(chan error, 1)
	address := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/endless" {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				gone <- err
				return
			}
		}
	})
	s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(200 * time.Millisecond)}}, address))
	client := s.http2Client()
	get := func(path string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(path), nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		return response
	}
	defer get("/endless").Body.Close()
	late := time.After(patience)
	for over := false; !over; {
		select {
		case <-gone:
			over = true
		case <-late:
			require.Fail(t, "the endpoint still writes")
		case <-time.After(10 * time.Millisecond):
			require.NoError(t, get("/").Body.Close()) // its connection is none that stands still
		}
	}
	s.eventually(func() bool { return s.endpoint("e0").InFlight == 0 }, "it is over")
	require.Zero(t, s.endpoint("e0").Faults)
}

func TestAStreamOfHTTP2LastsWhileOneSideSpeaks(t *testing.T) {
	const idle = time.Second
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(idle)}}, http2Backend(t, silenced(func(w http.ResponseWriter, r *http.Request) {
		tell := func(text string) {
			fmt.Fprintln(w, text)
			_ = http.NewResponseController(w).Flush()
		}
		long := make(chan struct{})
		go func() { defer close(long); s.outlast(2) }()
		for ended := false; !ended; { // this side speaks all the time
			tell("news")
			select {
			case <-long:
				ended = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		tell("no more")
		text, err := io.ReadAll(r.Body)
		if err == nil {
			s.outlast(2) // an endpoint may
			fmt.Fprintf(w, "%s", text)
		}
	})))
	c.Services[0].HTTP2 = true
	s.apply(c)
	stream := s.converse()
	for text := ""; text != "no more\n"; {
		var err error
		text, err = stream.answers.ReadString('\n')
		require.NoError(t, err)
	}
	_, err := io.WriteString(stream, "thanks\n")
	require.NoError(t, err)
	require.NoError(t, stream.Close())
	text, err := stream.answers.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "thanks\n", text)
}

func TestAnEndpointThatIsSlowToTakeABodyIsNoSlowClient(t *testing.T) {
	const idle, size = time.Second, 32 << 20
	for name, client := range map[string]func(*scene) *http.Client{"HTTP/1.1": func(*scene) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	}, "HTTP/2": (*scene).http2Client} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Options{})
			address := backend(t, "a", silenced(func(w http.ResponseWriter, r *http.Request) {
				s.outlast(2)
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, " ", err)
			}))
			s.apply(s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(idle)}}, address))
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/"), bytes.NewReader(make([]byte, size)))
			require.NoError(t, err)
			response, err := client(s).Do(request)
			require.NoError(t, err)
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(size, " ", nil), string(text))
		})
	}
}

func TestAListenerOfRoutesWaitsAsLongAsItsServices(t *testing.T) {
	bounds := map[string]time.Duration{"short": time.Second, "long": time.Minute, "none": 0}
	services := map[string]*service{}
	for name, idle := range bounds {
		services[name] = &service{policy: traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(idle)}}}
	}
	for _, test := range []struct {
		service string
		routes  []string
		longest time.Duration
	}{{"short", nil, time.Second}, {"short", []string{"long"}, time.Minute}, {"", []string{"short"}, time.Second}, {"", []string{"long", "none", "short"}, 0}, {"", nil, defaultIdleTimeout}} {
		l := traffic.Listener{Service: test.service}
		for _, name := range test.routes {
			l.Routes = append(l.Routes, traffic.Route{Service: name})
		}
		require.Equal(t, test.longest, longestBodyIdle(l, services), "%+v", test)
	}
}

func TestABodyThatNobodyWantsIsBoundToo(t *testing.T) {
	for name, prepare := range map[string]func(*traffic.Configuration){
		"no route": func(c *traffic.Configuration) {
			c.Listeners[0].Service = ""
			c.Listeners[0].Routes = []traffic.Route{{PathPrefix: "/here", Service: "web"}}
		},
		"no upstream": func(*traffic.Configuration) {},
		"too large":   func(c *traffic.Configuration) { c.Services[0].Policy.Limits.MaxBodyBytes = 10 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Options{})
			c := s.served(traffic.Policy{Timeout: traffic.Timeouts{BodyIdleTimeout: period(100 * time.Millisecond)}})
			prepare(&c)
			s.apply(c)
			client := s.dial()
			_, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
			require.NoError(t, err)
			_, err = io.ReadAll(client)
			require.NoError(t, err, "it is answered and closed")
		})
	}
}
