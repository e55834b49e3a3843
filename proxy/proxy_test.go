package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"

	"windlass/schemas/traffic"
)

func TestRequestsArePassedOnAsTheyAreButForWhoSaysSo(t *testing.T) {
	s := newScene(t, Options{})
	seen := make(chan *http.Request, 1)
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		seen <- r
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "short and stout")
	})))
	request, err := http.NewRequest(http.MethodPut, s.url("/a%2Fb/c?d=e;f"), strings.NewReader("body"))
	require.NoError(t, err)
	request.Host = "shop.example.org"
	for name, value := range map[string]string{"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Own": "kept", "Connection": "X-Hop", "X-Hop": "dropped", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
		request.Header.Set(name, value)
	}
	a := s.do(request)
	require.Equal(t, http.StatusTeapot, a.status)
	require.Equal(t, "short and stout", a.text)
	r := <-seen
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "body", string(text))
	require.Equal(t, "/a%2Fb/c?d=e;f", r.RequestURI)
	require.Equal(t, "shop.example.org", r.Host)
	require.Equal(t, "127.0.0.1", r.Header.Get("X-Forwarded-For"))
	require.Equal(t, "shop.example.org", r.Header.Get("X-Forwarded-Host"))
	require.Equal(t, "http", r.Header.Get("X-Forwarded-Proto"))
	require.Empty(t, r.Header.Get("Forwarded"))
	require.Equal(t, "kept", r.Header.Get("X-Own"))
	require.Empty(t, r.Header.Get("X-Hop"))
	require.Equal(t, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", r.Header.Get("Traceparent"))

	require.Equal(t, http.StatusTeapot, s.get("/").status)
	require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$", (<-seen).Header.Get("Traceparent"), "one without a trace begins one")
}

func TestAConfigurationIsAppliedWholeOrNotAtAll(t *testing.T) {
	s := newScene(t, Options{})
	good := s.served(traffic.Policy{}, backend(t, "a", nil))
	s.apply(good)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	bad := s.served(traffic.Policy{}, backend(t, "b", nil))
	bad.Version = 2
	bad.Listeners = append(bad.Listeners, traffic.Listener{Name: "free", Address: "127.0.0.1", Port: port(t, nobody(t)), Service: "web"},
		traffic.Listener{Name: "taken", Address: "127.0.0.1", Port: port(t, taken.Addr().String()), Service: "web"})
	require.ErrorContains(t, s.proxy.Apply(t.Context(), bad), "listeners[2]")
	require.Equal(t, "a", s.get("/").text)
	_, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", bad.Listeners[1].Port))
	require.ErrorContains(t, err, "refused", "what was opened for it is closed again")
	c, _ := s.proxy.Configuration()
	require.Equal(t, uint64(1), c.Version)

	good.Version = 1
	require.NoError(t, s.proxy.Apply(t.Context(), good), "the same again")
	other := good
	other.Labels = map[string]string{"a": "b"}
	require.ErrorIs(t, s.proxy.Apply(t.Context(), other), ErrConflict)
	other.Version = 5
	require.NoError(t, s.proxy.Apply(t.Context(), other))
	require.ErrorIs(t, s.proxy.Apply(t.Context(), good), ErrOlder)
}

func port(t *testing.T, address string) int {
	t.Helper()
	var n int
	_, text, err := net.SplitHostPort(address)
	require.NoError(t, err)
	_, err = fmt.Sscan(text, &n)
	require.NoError(t, err)
	return n
}

func TestListenersComeAndGo(t *testing.T) {
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{}, backend(t, "a", nil))
	s.apply(c)
	more := c
	more.Listeners = append([]traffic.Listener{{Name: "more", Address: "127.0.0.1", Port: port(t, nobody(t)), Service: "web"}}, c.Listeners...)
	s.apply(more)
	at := fmt.Sprintf("127.0.0.1:%d", more.Listeners[0].Port)
	response, err := http.Get("http://" + at)
	require.NoError(t, err)
	response.Body.Close()
	s.apply(c)
	s.eventually(func() bool { _, err := net.Dial("tcp", at); return err != nil }, "it is closed")
	require.Equal(t, "a", s.get("/").text)
}

func TestAnEndpointThatIsTakenOutFinishesWhatItHas(t *testing.T) {
	s := newScene(t, Options{})
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	slow := backend(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "slow")
	})
	other := backend(t, "other", nil)
	for name, take := range map[string]func(*traffic.Configuration){
		"draining": func(c *traffic.Configuration) { c.Services[0].Endpoints[0].Draining = true },
		"removed":  func(c *traffic.Configuration) { c.Services[0].Endpoints = c.Services[0].Endpoints[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			s.apply(s.served(traffic.Policy{}, slow))
			answered := make(chan answer, 1)
			go func() { answered <- s.get("/slow") }()
			<-arrived
			require.ErrorContains(t, s.proxy.AwaitDrained(t.Context(), "web", "e0"), "serves; take it out first")
			c := s.served(traffic.Policy{}, slow, other)
			take(&c)
			s.apply(c)
			require.Equal(t, StateDraining, s.endpoint("e0").State)
			require.Equal(t, int64(1), s.endpoint("e0").InFlight)
			for range 10 {
				require.Equal(t, "other", s.get("/").text)
			}
			drained := make(chan error, 1)
			go func() { drained <- s.proxy.AwaitDrained(t.Context(), "web", "e0") }()
			select {
			case <-drained:
				require.Fail(t, "it has a request in flight")
			default:
			}
			release <- struct{}{}
			require.Equal(t, "slow", (<-answered).text)
			require.NoError(t, <-drained)
		})
	}
}

func TestWhatIsInFlightIsCutOffAtTheDrainTimeout(t *testing.T) {
	s := newScene(t, Options{})
	arrived := make(chan struct{}, 1)
	stuck := backend(t, "stuck", func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	policy := traffic.Policy{DrainTimeout: period(50 * time.Millisecond)}
	s.apply(s.served(policy, stuck))
	answered := make(chan answer, 1)
	go func() { answered <- s.get("/") }()
	<-arrived
	s.apply(s.served(policy))
	a := <-answered
	require.Equal(t, http.StatusBadGateway, a.status)
	require.Equal(t, "network", a.header.Get(ErrorHeader))
	require.NoError(t, s.proxy.AwaitDrained(t.Context(), "web", "e0"))
}

// Endpoints come and go while requests flow, and none is lost or reaches one that was
// taken out.
func TestRequestsSurviveAnyChangeOfTheSet(t *testing.T) {
	s := newScene(t, Options{})
	var out [4]atomic.Bool
	var wrong atomic.Int64
	addresses := make([]string, len(out))
	for i := range addresses {
		addresses[i] = backend(t, fmt.Sprint(i), func(w http.ResponseWriter, _ *http.Request) {
			if out[i].Load() {
				wrong.Add(1)
			}
			fmt.Fprint(w, i)
		})
	}
	all := s.served(traffic.Policy{}, addresses...)
	s.apply(all)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var failed atomic.Value
	var count atomic.Int64
	for range 8 {
		callers.Go(func() {
			client := http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := client.Post(s.url("/"), "text/plain", strings.NewReader("x"))
				if err != nil {
					failed.Store(err.Error())
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					failed.Store(fmt.Sprint(response.Status, err))
					return
				}
				count.Add(1)
			}
		})
	}
	for round := range 60 {
		c := all
		c.Services = []traffic.Service{all.Services[0]}
		c.Services[0].Endpoints = append([]traffic.Endpoint{}, all.Services[0].Endpoints...)
		i := round % len(out)
		c.Services[0].Endpoints[i].Draining = true
		s.apply(c)
		require.NoError(t, s.proxy.AwaitDrained(t.Context(), "web", fmt.Sprintf("e%d", i)))
		out[i].Store(true)
		before := count.Load()
		s.eventually(func() bool { return count.Load() > before+20 || failed.Load() != nil }, "requests flow")
		out[i].Store(false)
		s.apply(all)
	}
	close(stop)
	callers.Wait()
	require.Nil(t, failed.Load())
	require.Zero(t, wrong.Load(), "requests reached an endpoint after it was drained")
}

func TestErrorsCanBeToldApart(t *testing.T) {
	s := newScene(t, Options{})
	silent := backend(t, "silent", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees a caller leave
		<-r.Context().Done()
	})
	broken := backend(t, "broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	failing := backend(t, "failing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	breaking := traffic.Policy{CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1}}
	tests := []struct {
		name    string
		policy  traffic.Policy
		address []string
		status  int
		kind    string
	}{
		{"nobody is there", traffic.Policy{}, nil, http.StatusServiceUnavailable, "no-upstream"},
		{"nobody listens", traffic.Policy{}, []string{nobody(t)}, http.StatusBadGateway, "network"},
		{"the connection breaks off", traffic.Policy{}, []string{broken}, http.StatusBadGateway, "network"},
		{"the answer is late", traffic.Policy{Timeout: traffic.Timeouts{HeaderTimeout: period(20 * time.Millisecond)}}, []string{silent}, http.StatusGatewayTimeout, "timeout"},
		{"the whole takes too long", traffic.Policy{Timeout: traffic.Timeouts{RequestTimeout: period(20 * time.Millisecond)}}, []string{silent}, http.StatusGatewayTimeout, "timeout"},
		{"a fault of the endpoint is its own", breaking, []string{failing}, http.StatusInternalServerError, ""},
		{"the circuit is open then", breaking, []string{failing}, http.StatusServiceUnavailable, "circuit-open"},
		{"too large", traffic.Policy{Limits: traffic.Limits{MaxBodyBytes: 3}}, []string{backend(t, "a", nil)}, http.StatusRequestEntityTooLarge, "too-large"},
	}
	for _, test := range tests {
		s.apply(s.served(test.policy, test.address...))
		a := s.post("four", "Idempotency-Key", "1")
		require.Equal(t, test.status, a.status, test.name)
		require.Equal(t, test.kind, a.header.Get(ErrorHeader), test.name)
		require.NotContains(t, a.text, "127.0.0.1", "nothing internal is told")
	}
}

func TestALimitBoundsWhatAnEndpointGets(t *testing.T) {
	s := newScene(t, Options{})
	release := make(chan struct{})
	var now, most atomic.Int64
	slow := backend(t, "slow", func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		<-release
		now.Add(-1)
		fmt.Fprint(w, "ok")
	})
	s.apply(s.served(traffic.Policy{Limits: traffic.Limits{MaxConnections: 2, MaxPending: 3}}, slow))
	answers := make(chan answer, 10)
	for range 5 {
		go func() { answers <- s.get("/") }()
	}
	limit := func() *limit { return s.proxy.services["web"].endpoints[0].settings.Load().limit }
	s.eventually(func() bool { return now.Load() == 2 && limit().pending.Load() == 3 }, "two are served and three wait")
	a := s.get("/")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "limit", a.header.Get(ErrorHeader))
	close(release)
	for range 5 {
		require.Equal(t, http.StatusOK, (<-answers).status)
	}
	require.Equal(t, int64(2), most.Load())
}

func TestRetriesAreMadeWhereTheyAreSafe(t *testing.T) {
	var tries atomic.Int64
	flaky := func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 {
			if r.URL.Path == "/reset" {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, "ok ", string(text))
	}
	all := &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.Retry5xx, traffic.RetryReset, traffic.RetryConnectFailure}, Backoff: period(time.Millisecond)}
	bold := *all
	bold.NonIdempotent = true
	tests := map[string]struct {
		method, path, body, key string
		retry                   *traffic.Retry
		status                  int
		tries                   int64
	}{
		"GET after a 5xx":           {http.MethodGet, "/", "", "", all, 200, 2},
		"PUT with its body again":   {http.MethodPut, "/", "body", "", all, 200, 2},
		"POST not":                  {http.MethodPost, "/", "body", "", all, 502, 1},
		"POST with a key":           {http.MethodPost, "/", "body", "k", all, 200, 2},
		"POST where it is allowed":  {http.MethodPost, "/", "body", "", &bold, 200, 2},
		"DELETE after a reset":      {http.MethodDelete, "/reset", "", "", all, 200, 2},
		"nothing without a policy":  {http.MethodGet, "/", "", "", nil, 502, 1},
		"what the policy names not": {http.MethodGet, "/", "", "", &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.RetryTimeout}}, 502, 1},
		"a body that is not held":   {http.MethodPut, "/", strings.Repeat("x", heldBytes+1), "", all, 502, 1},
	}
	s := newScene(t, Options{})
	address := backend(t, "flaky", flaky)
	for name, test := range tests {
		tries.Store(0)
		s.apply(s.served(traffic.Policy{Retry: test.retry}, address))
		request, err := http.NewRequest(test.method, s.url(test.path), strings.NewReader(test.body))
		require.NoError(t, err)
		if test.key != "" {
			request.Header.Set("Idempotency-Key", test.key)
		}
		a := s.do(request)
		require.Equal(t, test.status, a.status, name)
		require.Equal(t, test.tries, tries.Load(), name)
		if test.status == 200 {
			require.Equal(t, strings.TrimSpace("ok "+test.body), a.text, name)
		}
	}
}

func TestEveryRequestMayBeRepeatedWhereNobodyListened(t *testing.T) {
	s := newScene(t, Options{})
	addresses := []string{nobody(t), backend(t, "a", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), nobody(t)}
	s.apply(s.served(traffic.Policy{Retry: &traffic.Retry{MaxRetries: number(3), Budget: share(1), Backoff: period(0)}}, addresses...))
	for range 6 {
		require.Equal(t, "payment", s.post("payment").text)
	}
}

func TestATryThatTakesTooLongIsMadeElsewhere(t *testing.T) {
	s := newScene(t, Options{})
	silent := backend(t, "silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	retry := &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.RetryTimeout}, RetryTimeout: period(50 * time.Millisecond), Backoff: period(0), Budget: share(1)}
	s.apply(s.served(traffic.Policy{Retry: retry}, silent, backend(t, "good", nil)))
	for range 4 {
		require.Equal(t, "good", s.get("/").text)
	}
}

func TestAnEndpointThatFailsItsChecksGetsNothing(t *testing.T) {
	s := newScene(t, Options{})
	var sick atomic.Bool
	patient := backend(t, "patient", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "patient")
	})
	check := &traffic.HealthCheck{Path: "/health", Interval: period(5 * time.Millisecond), HealthyThreshold: 2, UnhealthyThreshold: 2}
	c := s.served(traffic.Policy{HealthCheck: check}, patient, backend(t, "other", nil))
	s.apply(c)
	sick.Store(true)
	s.eventually(func() bool { return s.endpoint("e0").State == StateUnhealthy }, "it is unhealthy")
	require.Contains(t, s.endpoint("e0").Trouble, "503")
	for range 10 {
		require.Equal(t, "other", s.get("/").text)
	}
	sick.Store(false)
	s.eventually(func() bool { return s.endpoint("e0").State == StateReady }, "it is healthy")
	s.eventually(func() bool { return s.get("/").text == "patient" }, "it serves")

	// With nobody well, everybody serves: a check may be wrong.
	s.apply(s.served(traffic.Policy{HealthCheck: check}, patient))
	sick.Store(true)
	s.eventually(func() bool { return s.endpoint("e0").State == StateUnhealthy }, "it is unhealthy")
	require.Equal(t, "patient", s.get("/").text)
}

func TestAnEndpointThatFaultsIsEjectedButNeverTooMany(t *testing.T) {
	s := newScene(t, Options{})
	failing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	c := s.served(traffic.Policy{OutlierDetection: &traffic.OutlierDetection{ConsecutiveFaults: number(3), BaseEjection: period(time.Hour), MaxEjection: period(time.Hour)}},
		backend(t, "a", failing), backend(t, "b", failing), backend(t, "c", failing), backend(t, "good", nil))
	s.apply(c)
	for range 60 {
		s.get("/")
	}
	states := map[string]int{}
	for _, e := range s.proxy.Status().Services[0].Endpoints {
		states[e.State]++
	}
	require.Equal(t, map[string]int{StateEjected: 2, StateReady: 2}, states, "half of them at most")
	require.Equal(t, StateReady, s.endpoint("e3").State)
}

func TestAPolicyThatChangesLeavesWhatItDoesNotConcern(t *testing.T) {
	s := newScene(t, Options{})
	policy := traffic.Policy{CircuitBreaker: &traffic.CircuitBreaker{MaxFailures: 1, RecoveryTimeout: period(time.Hour)}}
	failing := backend(t, "a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s.apply(s.served(policy, failing))
	s.get("/")
	require.Equal(t, "open", s.endpoint("e0").Breaker)
	policy.LoadBalancer = traffic.Random
	s.apply(s.served(policy, failing))
	require.Equal(t, "open", s.endpoint("e0").Breaker)
	require.Equal(t, int64(1), s.endpoint("e0").Requests)
	policy.CircuitBreaker = &traffic.CircuitBreaker{MaxFailures: 2}
	s.apply(s.served(policy, failing))
	require.Equal(t, "closed", s.endpoint("e0").Breaker, "another breaker")
}

func TestRoutesAndSubsets(t *testing.T) {
	s := newScene(t, Options{})
	stable, canary, api := backend(t, "stable", nil), backend(t, "canary", nil), backend(t, "api", nil)
	c := s.served(traffic.Policy{}, stable, canary)
	c.Services[0].Endpoints[0].Subset, c.Services[0].Endpoints[1].Subset = "stable", "canary"
	c.Services[0].Subsets = []traffic.Subset{{Name: "stable", Weight: 90}, {Name: "canary", Weight: 10}}
	c.Services = append(c.Services, traffic.Service{Name: "api", Endpoints: []traffic.Endpoint{{ID: "a", Address: api}}})
	c.Listeners[0].Routes = []traffic.Route{
		{PathPrefix: "/api/", Service: "api"},
		{Host: "api.example.org", Service: "api"},
		{Header: &traffic.Match{Name: "X-Canary", Value: "yes"}, Service: "web", Subset: "canary"},
		{Cookie: &traffic.Match{Name: "canary", Value: "1"}, Service: "web", Subset: "canary"},
	}
	s.apply(c)
	ask := func(path, host string, header ...string) string {
		request, err := http.NewRequest(http.MethodGet, s.url(path), nil)
		require.NoError(t, err)
		request.Host = host
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		return s.do(request).text
	}
	require.Equal(t, "api", ask("/api", ""))
	require.Equal(t, "api", ask("/api/users", ""))
	require.NotEqual(t, "api", ask("/apis", ""))
	require.Equal(t, "api", ask("/", "API.example.org:80"))
	for range 5 {
		require.Equal(t, "canary", ask("/", "", "X-Canary", "yes"))
		require.Equal(t, "canary", ask("/", "", "Cookie", "canary=1"))
	}
	count := map[string]int{}
	for range 1000 {
		count[s.get("/").text]++
	}
	require.InDelta(t, 100, count["canary"], 50) // five standard deviations
	c.Services[0].Subsets[1].Weight = 0
	s.apply(c)
	for range 50 {
		require.Equal(t, "stable", s.get("/").text)
	}
	require.Equal(t, "canary", ask("/", "", "X-Canary", "yes"), "by name it is reached")
	c.Services[0].Endpoints[0].Draining = true
	s.apply(c)
	require.Equal(t, "canary", s.get("/").text, "its share goes to those that can serve")
	c.Listeners[0].Service = ""
	s.apply(c)
	require.Equal(t, http.StatusNotFound, s.get("/").status)
	answer, err := http.Get("http://" + s.address + "/")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "no-route", answer.Header.Get(ErrorHeader))
}

// A server that speaks no HTTP is checked by opening a connection.
func TestAnEndpointOfConnectionsIsCheckedByOne(t *testing.T) {
	s := newScene(t, Options{})
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var looks atomic.Int64
	go func() {
		for {
			connection, err := echo.Accept()
			if err != nil {
				return
			}
			looks.Add(1)
			_, _ = connection.Write([]byte("220 ready\r\n"))
			_ = connection.Close()
		}
	}()
	c := s.served(traffic.Policy{HealthCheck: &traffic.HealthCheck{Interval: period(5 * time.Millisecond), UnhealthyThreshold: 1}}, echo.Addr().String())
	c.Listeners[0].Protocol = traffic.TCP
	s.apply(c)
	s.eventually(func() bool { return looks.Load() > 3 }, "it is looked at")
	require.Equal(t, StateReady, s.endpoint("e0").State, s.endpoint("e0").Trouble)
	require.NoError(t, echo.Close())
	s.eventually(func() bool { return s.endpoint("e0").State == StateUnhealthy }, "it is unhealthy")
}

func TestCopiesGoToTheMirrorAndAnswersDoNot(t *testing.T) {
	s := newScene(t, Options{})
	copies := make(chan string, 10)
	mirrored := backend(t, "mirror", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		copies <- r.Method + " " + r.URL.Path + " " + string(text)
		w.WriteHeader(http.StatusInternalServerError)
	})
	c := s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, _ = w.Write(text)
	}))
	c.Services = append(c.Services, traffic.Service{Name: "copy", Endpoints: []traffic.Endpoint{{ID: "m", Address: mirrored}}})
	c.Services[0].Mirror = &traffic.Mirror{Service: "copy"}
	s.apply(c)
	require.Equal(t, "hello", s.post("hello").text)
	require.Equal(t, "POST / hello", <-copies)
	large := strings.Repeat("x", heldBytes+1)
	require.Len(t, s.post(large).text, len(large))
	s.get("/after")
	require.Equal(t, "GET /after ", <-copies, "what is large is not copied")
}

func TestStreamsArePassedOnPieceByPiece(t *testing.T) {
	s := newScene(t, Options{})
	next := make(chan struct{})
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-End")
		for range 3 {
			fmt.Fprint(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
		w.Header().Set("X-End", "done")
	})))
	response, err := http.Get(s.url("/"))
	require.NoError(t, err)
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	for range 3 {
		line, err := reader.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "data: x\n", line)
		_, err = reader.ReadString('\n')
		require.NoError(t, err)
		next <- struct{}{}
	}
	_, err = io.Copy(io.Discard, reader)
	require.NoError(t, err)
	require.Equal(t, "done", response.Trailer.Get("X-End"))
}

func TestWebSocketsArePassedOnAndCountAsInFlight(t *testing.T) {
	s := newScene(t, Options{})
	echo := websocket.Handler(func(c *websocket.Conn) { _, _ = io.Copy(c, c) })
	s.apply(s.served(traffic.Policy{}, backend(t, "a", echo.ServeHTTP)))
	c, err := websocket.Dial("ws://"+s.address+"/", "", "http://localhost")
	require.NoError(t, err)
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	text := make([]byte, 5)
	_, err = io.ReadFull(c, text)
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))
	require.Equal(t, int64(1), s.endpoint("e0").InFlight)
	require.NoError(t, c.Close())
	s.eventually(func() bool { return s.endpoint("e0").InFlight == 0 }, "it is over")
}

func TestHTTP2IsSpokenOnBothSides(t *testing.T) {
	s := newScene(t, Options{})
	both := &http.Protocols{}
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Protocols: both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	only := &http.Protocols{}
	only.SetUnencryptedHTTP2(true)
	client := http.Client{Transport: &http.Transport{Protocols: only}}
	for _, wanted := range []string{"HTTP/1.1", "HTTP/2.0"} {
		c := s.served(traffic.Policy{}, listener.Addr().String())
		c.Services[0].HTTP2 = wanted == "HTTP/2.0"
		s.apply(c)
		response, err := client.Get(s.url("/"))
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, "HTTP/2.0", response.Proto)
		require.Equal(t, wanted, string(text))
	}
}

func TestBytesArePassedThrough(t *testing.T) {
	s := newScene(t, Options{})
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				text, _ := io.ReadAll(c) // until the client has said all
				_, _ = c.Write(bytes.ToUpper(text))
			}()
		}
	}()
	c := s.served(traffic.Policy{}, nobody(t), echo.Addr().String())
	c.Listeners[0].Protocol = traffic.TCP
	s.apply(c)
	for range 4 {
		client, err := net.Dial("tcp", s.address)
		require.NoError(t, err)
		_, err = io.WriteString(client, "hello")
		require.NoError(t, err)
		require.NoError(t, client.(*net.TCPConn).CloseWrite())
		text, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Equal(t, "HELLO", string(text), "half-closed, and past an endpoint that takes no connection")
		client.Close()
	}
	s.eventually(func() bool { return s.endpoint("e1").InFlight == 0 }, "it is over")
}

// gathered is a metric with these labels; -1 is none.
func gathered(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metric:
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if wanted, ok := labels[l.GetName()]; ok && wanted != l.GetValue() {
					continue metric
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

func TestConnectionsAreCountedAndLogged(t *testing.T) {
	registry := prometheus.NewRegistry()
	lines := make(chan map[string]any, 10)
	s := newScene(t, Options{Registry: registry, AccessLog: slog.New(slog.NewJSONHandler(writerFunc(func(p []byte) (int, error) {
		var line map[string]any
		_ = json.Unmarshal(p, &line)
		lines <- line
		return len(p), nil
	}), nil))})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, c)
			_, _ = io.WriteString(c, "and back")
			c.Close()
		}
	}()
	c := s.served(traffic.Policy{}, listener.Addr().String())
	c.Listeners[0].Protocol = traffic.TCP
	s.apply(c)
	client := s.dial()
	_, err = io.WriteString(client, "there")
	require.NoError(t, err)
	require.NoError(t, client.CloseWrite())
	text, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "and back", string(text))
	line := <-lines
	require.Equal(t, "web", line["listener"])
	require.Equal(t, "e0", line["endpoint"])
	require.Equal(t, client.LocalAddr().String(), line["client"])
	require.Equal(t, []any{5.0, 8.0, ""}, []any{line["in"], line["out"], line["error"]})
	require.Equal(t, 1.0, gathered(t, registry, "windlass_proxy_connections_total", map[string]string{"endpoint": "e0"}))
	require.Equal(t, 5.0, gathered(t, registry, "windlass_proxy_bytes_total", map[string]string{"direction": "in"}))
	require.Equal(t, 8.0, gathered(t, registry, "windlass_proxy_bytes_total", map[string]string{"direction": "out"}))

	c.Services[0].Endpoints[0].Address = nobody(t)
	s.apply(c)
	_, _ = io.ReadAll(s.dial())
	line = <-lines
	require.Equal(t, []any{"", "network"}, []any{line["endpoint"], line["error"]})
	require.Equal(t, 1.0, gathered(t, registry, "windlass_proxy_refusals_total", map[string]string{"listener": "web", "kind": "network"}))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestMetricsAndTheAccessLogTellWhatHappened(t *testing.T) {
	registry := prometheus.NewRegistry()
	var log bytes.Buffer
	s := newScene(t, Options{Registry: registry, AccessLog: slog.New(slog.NewJSONHandler(&log, nil))})
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusNotFound)
		}
	})))
	s.get("/?token=secret")
	s.get("/no")
	value := func(name string, labels map[string]string) float64 { return gathered(t, registry, name, labels) }
	require.Equal(t, 1.0, value("windlass_proxy_requests_total", map[string]string{"service": "web", "endpoint": "e0", "code": "2xx"}))
	require.Equal(t, 1.0, value("windlass_proxy_requests_total", map[string]string{"code": "4xx"}))
	require.Equal(t, 2.0, value("windlass_proxy_request_seconds", nil))
	require.Equal(t, 0.0, value("windlass_proxy_in_flight", nil))
	require.Equal(t, 1.0, value("windlass_proxy_configuration_version", nil))
	require.Equal(t, 0.0, value("windlass_proxy_breaker_state", nil))
	require.Equal(t, 1.0, value("windlass_proxy_available", nil))
	var line map[string]any
	require.NoError(t, json.Unmarshal(bytes.SplitN(log.Bytes(), []byte("\n"), 2)[0], &line))
	require.Equal(t, "/", line["path"])
	require.Equal(t, 200.0, line["status"])
	require.NotContains(t, log.String(), "secret")

	s.apply(s.served(traffic.Policy{}))
	s.eventually(func() bool { return value("windlass_proxy_in_flight", nil) == -1 }, "an endpoint that is gone has no metrics")
	s.get("/")
	require.Equal(t, 1.0, value("windlass_proxy_refusals_total", map[string]string{"kind": "no-upstream"}))
}

// A request waits for a place at the only endpoint, when that is exchanged for another one.
func TestARequestThatWaitsGoesToWhatThereIsThen(t *testing.T) {
	for name, retry := range map[string]*traffic.Retry{"without retries": nil, "with retries from then on": {RetryOn: []traffic.RetryOn{traffic.Retry5xx}, NonIdempotent: true}} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Options{})
			release, arrived := make(chan struct{}), make(chan struct{}, 1)
			one := traffic.Policy{Limits: traffic.Limits{MaxConnections: 1, MaxPending: 1}}
			leaving := backend(t, "leaving", func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-release
				fmt.Fprint(w, "leaving")
			})
			s.apply(s.served(one, leaving))
			first := make(chan answer, 1)
			go func() { first <- s.get("/") }()
			<-arrived
			second := make(chan answer, 1)
			go func() { second <- s.post("body") }()
			settings := s.proxy.services["web"].endpoints[0].settings.Load()
			s.eventually(func() bool { return settings.limit.pending.Load() == 1 }, "the second one waits")

			next := one
			next.Retry = retry
			c := s.served(next, leaving, backend(t, "joined", func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				fmt.Fprint(w, "joined got ", string(text))
			}))
			c.Services[0].Endpoints[0].Draining = true
			s.apply(c)
			close(release)
			require.Equal(t, "leaving", (<-first).text)
			require.Equal(t, "joined got body", (<-second).text)
		})
	}
}

func TestAShutdownAnswersWhoAsksUntilTheEnd(t *testing.T) {
	s := newScene(t, Options{})
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	s.apply(s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "a")
	})))
	kept := http.Client{Transport: &http.Transport{}}
	response, err := kept.Get(s.url("/"))
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	slow := make(chan answer, 1)
	go func() { slow <- s.get("/slow") }()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- s.proxy.Shutdown(t.Context()) }()
	s.eventually(func() bool { _, err := net.Dial("tcp", s.address); return err != nil }, "it takes no connection")
	response, err = kept.Post(s.url("/"), "text/plain", strings.NewReader("on a kept connection"))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.True(t, response.Close, "the client is told to close")
	response.Body.Close()
	select {
	case err := <-ended:
		require.Failf(t, "it ended with a request in flight", "%v", err)
	default:
	}
	close(release)
	require.Equal(t, "a", (<-slow).text)
	require.NoError(t, <-ended)
}
