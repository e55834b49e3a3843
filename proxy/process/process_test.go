package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/proxy"
	"windlass/proxy/admin"
	"windlass/schemas/traffic"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = time.Minute

// binaries are two versions of the program, and one that never serves.
type binaries struct{ first, second, broken string }

var built binaries

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "windlass-proxy")
	if err == nil {
		built, err = build(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

func build(folder string) (binaries, error) {
	b := binaries{filepath.Join(folder, "first"), filepath.Join(folder, "second"), filepath.Join(folder, "broken")}
	for _, path := range []string{b.first, b.second} {
		command := exec.Command("go", "build", "-o", path, "-ldflags", "-X main.version="+filepath.Base(path), "windlass/cmd/windlass-proxy")
		if output, err := command.CombinedOutput(); err != nil {
			return b, fmt.Errorf("%w: %s", err, output)
		}
	}
	return b, os.WriteFile(b.broken, []byte("#!/bin/sh\nexit 3\n"), 0o755)
}

// running is a proxy in a process of its own.
type running struct {
	t       *testing.T
	state   string
	command *exec.Cmd
	client  *admin.Client
	port    int
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, more ...string) *running {
	t.Helper()
	// A socket's path is short, and the folders of tests have long names.
	state, err := os.MkdirTemp("", "state")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(state) })
	r := &running{t: t, state: state, port: freePort(t), log: &lockedBuffer{}}
	r.run(more...)
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (r *running) socket() string { return filepath.Join(r.state, "admin.sock") }

func (r *running) run(more ...string) {
	r.t.Helper()
	r.command = exec.Command(built.first, append([]string{"run", "--state", r.state, "--socket", r.socket()}, more...)...)
	r.command.Stdout, r.command.Stderr = r.log, r.log
	require.NoError(r.t, r.command.Start())
	ended := make(chan struct{})
	command := r.command
	go func() { _ = command.Wait(); close(ended) }()
	r.t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = command.Process.Kill()
		}
		if r.t.Failed() {
			r.t.Log(r.log.String())
		}
	})
	r.client = admin.NewClient(r.socket())
	r.eventually(func() bool { _, err := r.client.Version(context.Background()); return err == nil }, "it serves")
}

func (r *running) eventually(condition func() bool, what string) {
	r.t.Helper()
	require.Eventually(r.t, condition, patience, 5*time.Millisecond, what)
}

// configuration passes everything to these addresses.
func (r *running) configuration(version uint64, addresses ...string) []byte {
	text, err := json.Marshal(r.document(version, addresses...))
	require.NoError(r.t, err)
	return text
}

func (r *running) document(version uint64, addresses ...string) traffic.Configuration {
	c := traffic.Configuration{
		Version:   version,
		Listeners: []traffic.Listener{{Name: "web", Address: "127.0.0.1", Port: r.port, Service: "web"}},
		Services:  []traffic.Service{{Name: "web", Endpoints: []traffic.Endpoint{}}},
	}
	for i, address := range addresses {
		c.Services[0].Endpoints = append(c.Services[0].Endpoints, traffic.Endpoint{ID: fmt.Sprintf("e%d", i), Address: address})
	}
	return c
}

func (r *running) apply(version uint64, addresses ...string) {
	r.t.Helper()
	require.NoError(r.t, r.client.Apply(r.t.Context(), r.configuration(version, addresses...)))
}

func (r *running) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path) }

// backend answers at once, slowly, or piece by piece.
func backend(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(700 * time.Millisecond)
		fmt.Fprint(w, "ok")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 7 {
			fmt.Fprint(w, ".")
			_ = http.NewResponseController(w).Flush()
			<-time.After(100 * time.Millisecond)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// load asks over connections that are kept until it is stopped. POST has no body that
// could be sent again.
type load struct {
	count  atomic.Int64
	mu     sync.Mutex
	failed []string
	done   sync.WaitGroup
	stop   context.CancelFunc
}

func (r *running) load() *load {
	ctx, stop := context.WithCancel(r.t.Context())
	r.t.Cleanup(stop)
	l := &load{stop: stop}
	for path, n := range map[string]int{"/": 4, "/slow": 3, "/stream": 3} {
		for range n {
			l.done.Go(func() {
				client := http.Client{Transport: &http.Transport{}, Timeout: patience}
				defer client.CloseIdleConnections()
				for ctx.Err() == nil {
					if err := ask(&client, http.MethodGet, r.url(path)); err != nil {
						l.mu.Lock()
						l.failed = append(l.failed, path+": "+err.Error())
						l.mu.Unlock()
					}
					l.count.Add(1)
				}
			})
		}
	}
	return l
}

func ask(client *http.Client, method, url string) error {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return err
}

func (l *load) requireNoneLost(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.failed)
	require.Greater(t, l.count.Load(), int64(10))
	t.Logf("%d requests", l.count.Load())
}

func TestAnUpgradeLosesNoRequest(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.apply(1, backend(t), backend(t))
	l := r.load()
	for i := range 4 {
		wanted := []string{built.second, built.first}[i%2]
		before := l.count.Load()
		require.NoError(t, r.client.Upgrade(t.Context(), wanted))
		r.eventually(func() bool {
			v, err := r.client.Version(context.Background())
			return err == nil && v == filepath.Base(wanted)
		}, "it runs "+wanted)
		r.eventually(func() bool { return l.count.Load() > before+50 }, "it goes on")
	}
	l.requireNoneLost(t)
}

// The former process has a request in flight to an endpoint that is taken out now, and a
// connection that is kept.
func TestAProcessThatWasReplacedFollowsItsSuccessor(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	leaving := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-release
		}
		fmt.Fprint(w, "leaving")
	}))
	t.Cleanup(leaving.Close)
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	r := start(t)
	address := strings.TrimPrefix(leaving.URL, "http://")
	r.apply(1, address)
	holding := make(chan error, 1)
	go func() { holding <- ask(&http.Client{Transport: &http.Transport{}}, http.MethodGet, r.url("/hold")) }()
	<-held
	kept := &http.Client{Transport: &http.Transport{}}
	defer kept.CloseIdleConnections()
	require.NoError(t, ask(kept, http.MethodGet, r.url("/")))

	require.NoError(t, r.client.Upgrade(t.Context(), built.second))
	inARow := 0
	r.eventually(func() bool { // for a moment, both take connections
		inARow++
		if v, err := r.client.Version(context.Background()); err != nil || v != "second" {
			inARow = 0
		}
		return inARow > 20
	}, "the former process answers no more")
	c := r.document(2, address, backend(t))
	c.Services[0].Endpoints[0].Draining = true
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, r.client.Apply(t.Context(), text))

	reused := false
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused },
	}), http.MethodGet, r.url("/"), nil)
	require.NoError(t, err)
	response, err := kept.Do(request)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.True(t, reused, "it is not the former process that answers, so that this shows nothing")
	require.Equal(t, "ok", string(answer), "it is sent to the endpoint that is out")
	require.ErrorIs(t, r.client.Drained(t.Context(), "web", "e0", 200*time.Millisecond), admin.ErrNotDrained)
	let()
	require.NoError(t, r.client.Drained(t.Context(), "web", "e0", patience))
	require.NoError(t, <-holding)
	r.eventually(func() bool {
		sockets, _ := filepath.Glob(r.socket() + ".*")
		return len(sockets) == 1
	}, "the former process ends and takes its socket along")
}

func TestABinaryThatDoesNotServeChangesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.apply(1, backend(t))
	l := r.load()
	require.ErrorContains(t, r.client.Upgrade(t.Context(), built.broken), "does not serve, and the former version goes on")
	require.ErrorContains(t, r.client.Upgrade(t.Context(), filepath.Join(r.state, "missing")), "no such file")
	v, err := r.client.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "first", v)
	r.apply(2, backend(t))
	l.requireNoneLost(t)
}

func TestWhatWasUpgradedServesAfterARestart(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.apply(1, backend(t))
	require.NoError(t, r.client.Upgrade(t.Context(), built.second))
	r.restart(syscall.SIGTERM)
	v, err := r.client.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "second", v)
	require.NoError(t, ask(http.DefaultClient, http.MethodGet, r.url("/")))

	// One that does not serve any more is given up for the image's.
	require.NoError(t, os.Remove(filepath.Join(r.state, binaryFile)))
	require.NoError(t, os.WriteFile(filepath.Join(r.state, binaryFile), []byte("#!/bin/sh\nexit 1\n"), 0o755))
	r.restart(syscall.SIGTERM)
	v, err = r.client.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "first", v)
}

// restart ends the process and starts it again on the same state.
func (r *running) restart(signal syscall.Signal) {
	r.t.Helper()
	require.NoError(r.t, r.command.Process.Signal(signal))
	r.eventually(func() bool {
		_, err := r.client.Version(context.Background())
		return errors.Is(err, admin.ErrUnreachable)
	}, "it is gone")
	r.run()
}

func TestWhatWasConfiguredHoldsAfterARestart(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"ended": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.apply(3, backend(t))
			before, err := r.client.Configuration(t.Context())
			require.NoError(t, err)
			r.restart(signal)
			r.eventually(func() bool { return ask(http.DefaultClient, http.MethodGet, r.url("/")) == nil }, "it serves")
			after, err := r.client.Configuration(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func TestAServingProcessThatIsKilledIsStartedAgainAndNobodyIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.apply(1, backend(t))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var refused atomic.Value
	var dials atomic.Int64
	go func() {
		for ctx.Err() == nil {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
			if err != nil {
				refused.Store(err.Error())
				return
			}
			c.Close()
			dials.Add(1)
		}
	}()
	for range 3 {
		before := r.serving()
		require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
		r.eventually(func() bool { return r.serving() != before && r.serving() != 0 }, "another one serves")
		r.eventually(func() bool { return ask(http.DefaultClient, http.MethodGet, r.url("/")) == nil }, "it answers")
	}
	require.Nil(t, refused.Load())
	require.Positive(t, dials.Load())
}

// serving is the process that serves, 0 when there is none.
func (r *running) serving() int {
	// A child belongs to the thread that started it.
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.command.Process.Pid))
	require.NoError(r.t, err)
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread is gone
		}
		var pid int
		if n, _ := fmt.Sscan(string(text), &pid); n == 1 {
			return pid
		}
	}
	return 0
}

func TestSIGTERMFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.apply(1, backend(t))
	answered := make(chan error, 2)
	for _, path := range []string{"/slow", "/stream"} {
		go func() { answered <- ask(&http.Client{Transport: &http.Transport{}}, http.MethodGet, r.url(path)) }()
	}
	r.eventually(func() bool {
		s, err := r.client.Status(context.Background())
		return err == nil && len(s.Services) == 1 && s.Services[0].Endpoints[0].InFlight == 2
	}, "both are in flight")
	require.NoError(t, r.command.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-answered)
	require.NoError(t, <-answered)
}

func TestACommandSaysByItsExitCodeWhatHappened(t *testing.T) {
	t.Parallel()
	r := start(t)
	address := backend(t)
	run := func(input []byte, arguments ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := Main(t.Context(), "test", append(arguments, "--socket", r.socket()), bytes.NewReader(input), &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	steps := []struct {
		name      string
		input     []byte
		arguments []string
		code      int
		output    string
	}{
		{"a first one", r.configuration(2, address), []string{"apply", "-"}, ExitDone, ""},
		{"the same again", r.configuration(2, address), []string{"apply"}, ExitDone, ""},
		{"another of the same version", r.configuration(2), []string{"apply"}, ExitConflict, "2"},
		{"an older one", r.configuration(1), []string{"apply"}, ExitOlder, "2"},
		{"an unknown field", []byte(`{"version": 3, "listener": []}`), []string{"apply"}, ExitInvalid, "listener"},
		{"a port that is none", []byte(`{"version": 3, "listeners": [{"name": "a", "port": 70000}]}`), []string{"apply"}, ExitInvalid, "listeners[0].port"},
		{"what runs", nil, []string{"status"}, ExitDone, "e0"},
		{"what runs, for programs", nil, []string{"status", "-o", "json"}, ExitDone, `"version": 2`},
		{"a form that is none", nil, []string{"status", "-o", "xml"}, ExitUsage, "text or json"},
		{"an endpoint that is not taken out", nil, []string{"drained", "web", "e0", "--timeout", "100ms"}, ExitInvalid, "e0"},
		{"a version", nil, []string{"version"}, ExitDone, "test"},
		{"that which runs", nil, []string{"version", "--running"}, ExitDone, "first"},
		{"a file that is not there", nil, []string{"apply", "/no/such/file"}, ExitFailed, "no such file"},
		{"a word too many", nil, []string{"status", "now"}, ExitUsage, "now"},
	}
	for _, s := range steps {
		code, output := run(s.input, s.arguments...)
		require.Equal(t, s.code, code, "%s: %s", s.name, output)
		require.Contains(t, output, s.output, s.name)
	}
	require.NoError(t, ask(http.DefaultClient, http.MethodGet, r.url("/")), "what is refused changes nothing")

	var stderr bytes.Buffer
	require.Equal(t, ExitUnreachable, Main(t.Context(), "test", []string{"status", "--socket", "/no/such/socket"}, nil, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "cannot be reached")
}

func TestDrainingIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := start(t)
	first, second := backend(t), backend(t)
	r.apply(1, first)
	go func() { _ = ask(&http.Client{Transport: &http.Transport{}}, http.MethodGet, r.url("/slow")) }()
	r.eventually(func() bool {
		s, err := r.client.Status(context.Background())
		return err == nil && len(s.Services) == 1 && s.Services[0].Endpoints[0].InFlight == 1
	}, "it is in flight")
	var c traffic.Configuration
	require.NoError(t, json.Unmarshal(r.configuration(2, first, second), &c))
	c.Services[0].Endpoints[0].Draining = true
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, r.client.Apply(t.Context(), text))
	require.ErrorIs(t, r.client.Drained(t.Context(), "web", "e0", time.Millisecond), admin.ErrNotDrained)
	require.NoError(t, r.client.Drained(t.Context(), "web", "e0", patience))
}

func TestMetricsAreServedThroughAnUpgrade(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	r := start(t, "--metrics", address)
	r.apply(1, backend(t))
	for _, binary := range []string{"", built.second} {
		if binary != "" {
			require.NoError(t, r.client.Upgrade(t.Context(), binary))
		}
		require.NoError(t, ask(http.DefaultClient, http.MethodGet, r.url("/")))
		response, err := http.Get("http://" + address + "/metrics")
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Contains(t, string(text), "go_goroutines")
	}
}

func TestConfigurationsThatComeSideBySideEndWithTheNewest(t *testing.T) {
	t.Parallel()
	r := start(t)
	address := backend(t)
	var group sync.WaitGroup
	for version := range uint64(20) {
		group.Go(func() {
			err := r.client.Apply(context.Background(), r.configuration(version+1, address))
			if err != nil && !errors.Is(err, proxy.ErrOlder) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	c, err := r.client.Configuration(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(20), c.Version)
	text, err := os.ReadFile(filepath.Join(r.state, configurationFile))
	require.NoError(t, err)
	kept, err := traffic.ParseConfiguration(text)
	require.NoError(t, err)
	require.Equal(t, uint64(20), kept.Version)
}
