package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// brokenProxy stands in front of the engine and drops the answer to the n-th call
// that changes something, counted from 1, after the engine has done what was
// asked. The engine is then in the state in which a worker that is killed during
// that call, or between it and the next one, leaves it.
type brokenProxy struct {
	address string
	broken  atomic.Bool
}

func startBrokenProxy(t *testing.T, engine *client.Client, n int) *brokenProxy {
	t.Helper()
	p := &brokenProxy{}
	var count atomic.Int64
	p.address = inFrontOf(t, engine, func(forward http.Handler, transport http.RoundTripper) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet || r.Method == http.MethodHead || count.Add(1) != int64(n) {
				forward.ServeHTTP(w, r)
				return
			}
			p.broken.Store(true)
			out := r.Clone(context.WithoutCancel(r.Context()))
			out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", "engine"
			if response, err := transport.RoundTrip(out); err == nil {
				response.Body.Close()
			}
			panic(http.ErrAbortHandler)
		}
	})
	return p
}

// inFrontOf is the address of what handle makes of an engine, given what passes a
// request on and how.
func inFrontOf(t *testing.T, engine *client.Client, handle func(forward http.Handler, transport http.RoundTripper) http.HandlerFunc) string {
	t.Helper()
	// A socket's path is short, and the folders of tests have long names.
	folder, err := os.MkdirTemp("", "proxy")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	listener, err := net.Listen("unix", filepath.Join(folder, "s"))
	require.NoError(t, err)
	dial := engine.Dialer()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	forward := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine"
	}}
	server := &http.Server{Handler: handle(forward, transport)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return "unix://" + listener.Addr().String()
}

// round is one round of a walk, counted from 1.
type round func(l *lab, n int) error

// walk runs the work once for each changing call that it makes, with the answer to
// that call lost, and then once more with a provider that knows nothing of the
// first, as a worker does after kill -9. What is there afterwards must be what an
// undisturbed run leaves. It fails when the work makes fewer calls than it should.
func walk(t *testing.T, least int, prepare, work round, check func(l *lab, n int)) {
	t.Helper()
	walkIn(newLab(t), least, prepare, work, check)
}

func walkIn(l *lab, least int, prepare, work round, check func(l *lab, n int)) {
	t := l.T
	direct := l.provider
	for n, broken := 1, true; broken; n++ {
		require.NoError(t, prepare(l, n))
		proxy := startBrokenProxy(t, l.engine, n)
		l.provider = newNamedProvider(t, direct.name, proxy.address)
		if err := work(l, n); err != nil {
			require.True(t, activities.IsKind(err, activities.Unavailable), "call %d: %v", n, err)
		}
		broken = proxy.broken.Load()
		require.True(t, broken || n > least, "the work makes only %d changing calls", n-1)
		l.provider = direct
		require.NoError(t, work(l, n), "after the answer to call %d was lost", n)
		check(l, n)
	}
}

// once prepares only the first round; later ones go on from where the one before ended.
func once(prepare func(l *lab) error) round {
	return func(l *lab, n int) error {
		if n > 1 {
			return nil
		}
		return prepare(l)
	}
}

// crashScene are the declarations of the walks.
type crashScene struct {
	front, back, data plan.Desired
}

func newCrashScene(l *lab) crashScene {
	return crashScene{
		front: l.declare("front", schemas.TypeNetwork, schemas.Network{}),
		back:  l.declare("back", schemas.TypeNetwork, schemas.Network{}),
		data:  l.declare("data", schemas.TypeStorage, schemas.Storage{}),
	}
}

// web is a Compute on both networks.
func (s crashScene) web(l *lab, replicas, version int) plan.Desired {
	return l.compute("web", schemas.Compute{
		Replicas: number(replicas), Environment: map[string]string{"VERSION": strconv.Itoa(version)}, StopGracePeriod: duration(0), Health: patientHTTP(),
		Networks: []string{objectName(s.front.Target), objectName(s.back.Target)},
	})
}

// keeper is a Compute that must be stopped before another version of it starts.
func (s crashScene) keeper(l *lab, version int) plan.Desired {
	return l.compute("web", schemas.Compute{
		Environment: map[string]string{"VERSION": strconv.Itoa(version)}, StopGracePeriod: duration(0), Health: patientHTTP(),
		Networks: []string{objectName(s.front.Target)}, Volumes: []schemas.VolumeMount{{Source: objectName(s.data.Target), MountPath: "/data"}},
	})
}

func (l *lab) applyEach(declared ...plan.Desired) error {
	l.Helper()
	for _, d := range declared {
		if _, err := l.apply(d); err != nil {
			return err
		}
	}
	return nil
}

// requireExactly holds the objects of the scope against the declarations: each is
// there once, well, and nothing else is.
func (l *lab) requireExactly(declared ...plan.Desired) {
	l.Helper()
	var want []string
	for _, d := range declared {
		o := l.observed(d.Resource)
		require.Equal(l, plan.StateReady, o.State, o.Reason)
		require.Equal(l, d.SpecHash, o.SpecHash)
		switch d.Type {
		case schemas.TypeNetwork:
			want = append(want, "network "+objectName(d.Target))
		case schemas.TypeStorage:
			want = append(want, "volume "+objectName(d.Target))
		case schemas.TypeDatabase:
			want = append(want, "volume "+dataVolumeName(d.Target), "container "+containerName(d, 0)+" running")
		case schemas.TypeLoadBalancer:
			declared, err := decode[schemas.LoadBalancer](d)
			require.NoError(l, err)
			d.SpecHash, err = shapeOf(d, declared.WithDefaults())
			require.NoError(l, err)
			want = append(want, "container "+containerName(d, 0)+" running")
		case schemas.TypeCompute:
			compute, err := decode[schemas.Compute](d)
			require.NoError(l, err)
			for i := range *compute.WithDefaults().Replicas {
				want = append(want, "container "+containerName(d, i)+" running")
				networks := l.inspect(containerName(d, i)).NetworkSettings.Networks
				for _, name := range compute.Networks {
					require.Contains(l, networks, name)
				}
			}
		}
	}
	slices.Sort(want)
	require.Equal(l, strings.Join(want, "\n"), strings.Join(slices.Sorted(slices.Values(l.names())), "\n"))
}

func TestWhateverCallOfAnApplyIsLostTheNextApplyFinishes(t *testing.T) {
	t.Parallel()
	empty := func(l *lab, _ int) error {
		l.clear()
		return nil
	}
	t.Run("creating everything", func(t *testing.T) {
		t.Parallel()
		all := func(l *lab) []plan.Desired {
			s := newCrashScene(l)
			return []plan.Desired{s.front, s.back, s.data, s.web(l, 2, 1)}
		}
		walk(t, 9, empty,
			func(l *lab, _ int) error { return l.applyEach(all(l)...) },
			func(l *lab, _ int) { l.requireExactly(all(l)...) })
	})
	t.Run("updating, the new one first", func(t *testing.T) {
		t.Parallel()
		walk(t, 5,
			once(func(l *lab) error { s := newCrashScene(l); return l.applyEach(s.front, s.back, s.web(l, 1, 0)) }),
			func(l *lab, n int) error { return l.applyEach(newCrashScene(l).web(l, 1, n)) },
			func(l *lab, n int) { s := newCrashScene(l); l.requireExactly(s.front, s.back, s.web(l, 1, n)) })
	})
	t.Run("updating, the old one first", func(t *testing.T) {
		t.Parallel()
		walk(t, 4,
			once(func(l *lab) error { s := newCrashScene(l); return l.applyEach(s.front, s.data, s.keeper(l, 0)) }),
			func(l *lab, n int) error { return l.applyEach(newCrashScene(l).keeper(l, n)) },
			func(l *lab, n int) { s := newCrashScene(l); l.requireExactly(s.front, s.data, s.keeper(l, n)) })
	})
	t.Run("replacing a network under its containers", func(t *testing.T) {
		t.Parallel()
		other := func(l *lab, n int) plan.Desired {
			return l.declare("front", schemas.TypeNetwork, schemas.Network{Internal: n%2 == 1})
		}
		walk(t, 4,
			once(func(l *lab) error { s := newCrashScene(l); return l.applyEach(other(l, 0), s.back, s.web(l, 1, 1)) }),
			func(l *lab, n int) error { return l.applyEach(other(l, n)) },
			func(l *lab, n int) { s := newCrashScene(l); l.requireExactly(other(l, n), s.back, s.web(l, 1, 1)) })
	})
	t.Run("creating a database", func(t *testing.T) {
		t.Parallel()
		db := func(l *lab) plan.Desired {
			return l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "postgres", Version: "15", StartPeriod: duration(3 * time.Minute)})
		}
		walk(t, 3, empty,
			func(l *lab, _ int) error { return l.applyEach(db(l)) },
			func(l *lab, _ int) { l.requireExactly(db(l)) })
	})
	t.Run("updating a Redis", func(t *testing.T) {
		t.Parallel()
		cache := func(l *lab, n int) plan.Desired {
			return l.redisDatabase(func(d *schemas.Database) { d.StopGracePeriod = duration(time.Duration(n+1) * time.Second) })
		}
		walk(t, 4,
			once(func(l *lab) error { return l.applyEach(cache(l, 0)) }),
			func(l *lab, n int) error { return l.applyEach(cache(l, n)) },
			func(l *lab, n int) { l.requireExactly(cache(l, n)) })
	})
}

func TestWhateverCallOfADeleteIsLostTheNextDeleteFinishes(t *testing.T) {
	t.Parallel()
	walk(t, 5,
		func(l *lab, _ int) error {
			s := newCrashScene(l)
			return l.applyEach(s.front, s.back, s.data, s.web(l, 1, 1))
		},
		func(l *lab, _ int) error {
			s := newCrashScene(l)
			for _, d := range []plan.Desired{s.web(l, 1, 1), s.data, s.back, s.front} {
				if err := l.delete(d.Target); err != nil {
					return err
				}
			}
			return nil
		},
		func(l *lab, _ int) { require.Empty(l, l.names()) })
}

// TestTwoWorkersAtOnceMakeEachContainerOnce pins what happens when a call that was
// given up still runs in another process: its containers are adopted. What the two
// get in each other's way with is tried again, as a workflow does.
func TestTwoWorkersAtOnceMakeEachContainerOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := newCrashScene(l)
	require.NoError(t, l.applyEach(s.front, s.back))
	d := s.web(l, 3, 1)
	results := make(chan error)
	for range 2 {
		worker := newProvider(t, "")
		go func() {
			_, err := worker.Apply(t.Context(), d, l.secrets, l.spoken.say)
			for tries := 1; tries < 5 && activities.IsKind(err, activities.Unavailable); tries++ {
				t.Log("tried again after:", err)
				_, err = worker.Apply(t.Context(), d, l.secrets, l.spoken.say)
			}
			results <- err
		}()
	}
	first, second := <-results, <-results
	require.NoError(t, first)
	require.NoError(t, second)
	l.requireExactly(s.front, s.back, d)
}

func TestAContainerThatIsRemovedBeforeItRunsIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"/connect", "/start"} {
		for _, found := range []bool{false, true} {
			t.Run(fmt.Sprintf("at %s, found: %t", step, found), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				s := newCrashScene(l)
				require.NoError(t, l.applyEach(s.front, s.back))
				web := s.web(l, 1, 1)
				// The engine answers with 404, or while it still removes the container with 500.
				var removed atomic.Bool
				remover := newProvider(t, inFrontOf(t, l.engine, func(forward http.Handler, _ http.RoundTripper) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						if strings.HasSuffix(r.URL.Path, step) && !removed.Swap(true) {
							_, err := l.engine.ContainerRemove(r.Context(), containerName(web, 0), client.ContainerRemoveOptions{Force: true})
							assert.NoError(t, err)
							if found {
								http.Error(w, `{"message":"container is marked for removal"}`, http.StatusInternalServerError)
								return
							}
						}
						forward.ServeHTTP(w, r)
					}
				}))
				if found {
					left := startBrokenProxy(t, l.engine, 1)
					_, err := newProvider(t, left.address).Apply(t.Context(), web, l.secrets, l.spoken.say)
					require.True(t, activities.IsKind(err, activities.Unavailable), "%v", err)
				}
				_, err := remover.Apply(t.Context(), web, l.secrets, l.spoken.say)
				require.NoError(t, err)
				l.requireExactly(s.front, s.back, web)
				if !found {
					require.Contains(t, l.spoken.String(), "removed by somebody else")
				}
			})
		}
	}
}
