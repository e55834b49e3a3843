package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

// balancedLab is a lab with a Compute of three replicas, "web", behind a LoadBalancer, "edge".
type balancedLab struct {
	*lab
	network string
	// port is where the host publishes the balancer.
	port int
}

func newBalancedLab(t *testing.T) *balancedLab {
	t.Helper()
	l := &balancedLab{lab: newLab(t), port: freePort(t)}
	l.network = l.lab.network("net")
	return l
}

func (l *balancedLab) web(label string, replicas int) plan.Desired {
	l.Helper()
	// Killed at once, a replica loses whatever it still has.
	return l.compute("web", schemas.Compute{
		Args: []string{"-label", label}, Networks: []string{l.network}, Replicas: &replicas, Health: patientHTTP(), Ports: []schemas.Port{{ContainerPort: 8080}},
		StopGracePeriod: duration(0),
	})
}

func (l *balancedLab) edge(change func(*schemas.LoadBalancer)) plan.Desired {
	l.Helper()
	b := schemas.LoadBalancer{Target: "web", Networks: []string{l.network}, Listen: []schemas.Listen{{Port: 80, TargetPort: 8080, HostPort: &l.port}}, StopGracePeriod: duration(time.Second)}
	if change != nil {
		change(&b)
	}
	return l.declare("edge", schemas.TypeLoadBalancer, b)
}

// caller asks the balancer over one connection that it keeps.
type caller struct {
	http.Client
	address string
}

func (l *balancedLab) caller() *caller {
	return &caller{http.Client{Transport: &http.Transport{}, Timeout: time.Minute}, fmt.Sprintf("http://127.0.0.1:%d", l.port)}
}

func (c *caller) get(path string) (string, error) {
	response, err := c.Get(c.address + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// answering are the replicas that answer n requests, ordered.
func (l *balancedLab) answering(n int) []string {
	l.Helper()
	c := l.caller()
	defer c.CloseIdleConnections()
	var hosts []string
	for range n {
		text, err := c.get("/who")
		require.NoError(l, err)
		host, _, _ := strings.Cut(text, " ")
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// ids are the ids of a resource's containers as they call themselves, ordered.
func (l *balancedLab) ids(resource string) []string {
	l.Helper()
	var ids []string
	for _, r := range l.observed(resource).Replicas {
		ids = append(ids, r.ID[:12])
	}
	slices.Sort(ids)
	return ids
}

func TestALoadBalancerPassesRequestsToEveryReplica(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 3))
	edge := l.edge(nil)
	require.Equal(t, schemas.Outputs{"name": "edge", "host": "edge", "port": "80", "url": "http://edge:80", "address": fmt.Sprintf("127.0.0.1:%d", l.port)}, l.applied(edge))
	require.Equal(t, l.ids("web"), l.answering(9))

	o := l.observed("edge")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Equal(t, edge.SpecHash, o.SpecHash)
	require.JSONEq(t, string(edge.Properties), string(o.Properties))
	before := l.configuration()
	l.applied(edge)
	require.Equal(t, before, l.configuration(), "what is as declared is left alone")

	// Scaled in both directions, it knows the replicas at once.
	l.applied(l.web("a", 1))
	require.Equal(t, l.ids("web"), l.answering(4))
	l.applied(l.web("a", 4))
	require.Len(t, l.answering(12), 4)
	require.NoError(t, l.delete(edge.Target))
	require.Empty(t, l.observedOrNone("edge"))
}

// configuration is what the first proxy does.
func (l *balancedLab) configuration() traffic.Configuration {
	l.Helper()
	r := l.observed("edge").Replicas[0]
	c, err := proxy{l.provider, "edge", r.ID, r.Name}.configuration(l.Context())
	require.NoError(l, err)
	require.NotNil(l, c)
	return *c
}

func TestAReplicaThatIsNotWellIsNotTakenIn(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 3))
	replicas := l.observed("web").Replicas
	have := func(what string, n int) {
		response, err := http.Get(fmt.Sprintf("http://%s:8080/%s", replicas[n].Address, what))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	have("break", 0)
	edge := l.edge(nil)
	l.applied(edge)
	require.Len(t, l.answering(9), 2)
	require.NotContains(t, l.answering(9), replicas[0].ID[:12])
	require.Equal(t, plan.StateReady, l.observed("edge").State, "nothing is missing at the proxies")

	// What had requests is the affair of the proxies' own checks.
	have("break", 1)
	l.applied(l.edge(func(b *schemas.LoadBalancer) { b.TrafficPolicy.LoadBalancer = traffic.LeastConnections }))
	require.Len(t, l.configuration().Services[0].Endpoints, 2)

	have("repair", 0)
	require.Contains(t, l.observed("edge").Reason, "it passes nothing to")
	l.applied(edge)
	require.Len(t, l.answering(9), 3)
}

func TestAReplicaThatIsGoneCostsARequestOnlyWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	never := 0
	for name, retry := range map[string]*traffic.Retry{"by default": nil, "without retries": {MaxRetries: &never}} {
		t.Run(name, func(t *testing.T) {
			l := newBalancedLab(t)
			l.applied(l.web("a", 2))
			l.applied(l.edge(func(b *schemas.LoadBalancer) { b.TrafficPolicy.Retry = retry }))
			require.Len(t, l.answering(4), 2)
			_, err := l.engine.ContainerRemove(t.Context(), l.observed("web").Replicas[0].ID, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
			c, lost := l.caller(), 0
			defer c.CloseIdleConnections()
			for range 4 {
				if _, err := c.get("/who"); err != nil {
					lost++
				}
			}
			require.Equal(t, retry != nil, lost > 0, "%d of 4 requests failed", lost)
		})
	}
}

func TestAPolicyChangesWithoutANewContainer(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	l.applied(l.edge(nil))
	before := l.ids("edge")
	changed := l.edge(func(b *schemas.LoadBalancer) {
		b.TrafficPolicy = traffic.Policy{LoadBalancer: traffic.LeastConnections, Retry: &traffic.Retry{}}
	})
	o := l.observed("edge")
	operation := plan.Diff([]plan.Desired{changed}, []plan.Observed{o}).Operations[0]
	require.Equal(t, schemas.ActionUpdate, operation.Action)
	require.Contains(t, operation.Cause, "trafficPolicy")
	l.applied(changed)
	require.Equal(t, before, l.ids("edge"))
	require.Equal(t, changed.SpecHash, l.observed("edge").SpecHash)
	require.Equal(t, traffic.LeastConnections, l.configuration().Services[0].Policy.LoadBalancer)

	port := freePort(t)
	moved := l.edge(func(b *schemas.LoadBalancer) { b.Listen[0].HostPort = &port })
	l.applied(moved)
	require.NotEqual(t, before, l.ids("edge"))
	l.port = port
	require.Len(t, l.answering(6), 2)
}

func TestAPortOfAnotherProtocolIsServedByAnotherContainer(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	l.applied(l.edge(nil))
	before := l.ids("edge")
	for _, protocol := range []traffic.Protocol{traffic.TCP, traffic.HTTP} {
		l.applied(l.edge(func(b *schemas.LoadBalancer) { b.Listen[0].Protocol = protocol }))
		require.NotEqual(t, before, l.ids("edge"))
		require.Equal(t, protocol, l.configuration().Listeners[0].Protocol)
		l.answering(2)
		before = l.ids("edge")
	}
}

func TestAnUpdateOfTheReplicasLosesNoRequest(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 3))
	l.applied(l.edge(nil))
	load := startLoad(t, l)
	for _, label := range []string{"b", "c"} {
		l.applied(l.web(label, 3))
		text, err := l.caller().get("/who")
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(text, " "+label), text)
	}
	load.requireNoneLost(t)
	require.Equal(t, l.ids("web"), l.answering(9))
}

// load asks the balancer until it is stopped: short, slow and streaming requests
// over connections that are kept.
type load struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	count  map[string]int
	failed []string
}

func startLoad(t *testing.T, l *balancedLab) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	o := &load{stop: stop, count: map[string]int{}}
	t.Cleanup(stop)
	for path, callers := range map[string]int{"/who": 4, "/slow?d=2s": 3, "/stream?n=10&every=100ms": 3} {
		for range callers {
			o.done.Go(func() {
				c := l.caller()
				defer c.CloseIdleConnections()
				for ctx.Err() == nil {
					_, err := c.get(path)
					o.mu.Lock()
					o.count[path]++
					if err != nil {
						o.failed = append(o.failed, path+": "+err.Error())
					}
					o.mu.Unlock()
				}
			})
		}
	}
	return o
}

// requireNoneLost ends the load.
func (o *load) requireNoneLost(t *testing.T) {
	t.Helper()
	o.stop()
	o.done.Wait()
	require.Empty(t, o.failed)
	for path, n := range o.count {
		require.Positive(t, n, path)
	}
	t.Logf("requests: %v", o.count)
}

func TestAProxyGoesOnWithWhatItDidAfterARestart(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	l.applied(l.edge(nil))
	before := l.configuration()
	_, err := l.engine.ContainerRestart(t.Context(), l.observed("edge").Replicas[0].ID, client.ContainerRestartOptions{})
	require.NoError(t, err)
	l.eventually(func() bool { return l.observed("edge").State == plan.StateReady }, "restarted")
	require.Equal(t, before, l.configuration())
	require.Len(t, l.answering(6), 2)

	// One that is down while the replicas move knows them when it comes back.
	_, err = l.engine.ContainerStop(t.Context(), l.observed("edge").Replicas[0].ID, client.ContainerStopOptions{})
	require.NoError(t, err)
	l.applied(l.web("b", 2))
	_, err = l.engine.ContainerStart(t.Context(), l.observed("edge").Replicas[0].ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	l.eventually(func() bool { return l.observed("edge").State == plan.StateReady }, "started")
	require.Equal(t, l.ids("web"), l.answering(6))
}

func TestWhatIsChangedByHandOnAProxyIsSeenAndPutBack(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	edge := l.edge(nil)
	l.applied(edge)
	good := l.configuration()
	tests := map[string]struct {
		change func(*traffic.Configuration)
		reason string
	}{
		"another policy":   {func(c *traffic.Configuration) { c.Services[0].Policy.LoadBalancer = traffic.Random }, "its configuration is not the declared one"},
		"a replica less":   {func(c *traffic.Configuration) { c.Services[0].Endpoints = c.Services[0].Endpoints[:1] }, "it passes nothing to"},
		"without a reason": {func(c *traffic.Configuration) { c.Labels = nil }, "it has no configuration"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(good)
			require.NoError(t, err)
			var changed traffic.Configuration
			require.NoError(t, json.Unmarshal(text, &changed))
			test.change(&changed)
			changed.Version = l.configuration().Version + 1
			r := l.observed("edge").Replicas[0]
			superseded, err := proxy{l.provider, "edge", r.ID, r.Name}.apply(t.Context(), changed)
			require.NoError(t, err)
			require.False(t, superseded)
			o := l.observed("edge")
			require.Equal(t, plan.StateDegraded, o.State)
			require.Contains(t, o.Reason, test.reason)
			l.applied(edge)
			require.Equal(t, plan.StateReady, l.observed("edge").State, l.observed("edge").Reason)
			require.Len(t, l.answering(6), 2)
		})
	}
}

func TestSeveralProxiesDoTheSameUnderOneName(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	l.applied(l.edge(func(b *schemas.LoadBalancer) { b.Replicas, b.Listen[0].HostPort = number(2), number(0) }))
	l.applied(l.web("b", 3))
	o := l.observed("edge")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Len(t, o.Replicas, 2)
	var all []traffic.Configuration
	for _, r := range o.Replicas {
		c, err := proxy{l.provider, "edge", r.ID, r.Name}.configuration(t.Context())
		require.NoError(t, err)
		all = append(all, *c)
	}
	require.Equal(t, all[0], all[1])
	require.Len(t, all[0].Services[0].Endpoints, 3)
	l.applied(l.compute("client", schemas.Compute{Args: []string{"sleep"}, Networks: []string{l.network}}))
	for _, name := range []string{"edge", "edge-0", "edge-1"} {
		_, output, trouble, err := l.provider.run(t.Context(), l.observed("client").Replicas[0].ID, []string{"/fixture", "fetch", "http://" + name + ":80/who"}, nil)
		require.NoError(t, err)
		require.Contains(t, output, " b", trouble)
	}
}

func TestALoadBalancerWithoutAProxyToRunSaysWhatToDo(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.provider.proxyBinary = t.TempDir() + "/windlass-proxy"
	f := l.fault(l.edge(nil), activities.Invalid)
	require.Contains(t, f.Message, "this worker has no proxy to run")
	require.Contains(t, f.Hint, "--proxy-binary")
}

func TestWhateverCallOfABalancedDeploymentIsLostTheNextOneFinishes(t *testing.T) {
	t.Parallel()
	scene := func(t *testing.T) *balancedLab {
		l := newBalancedLab(t)
		l.port = 0
		return l
	}
	requireBalanced := func(l *balancedLab, edge, web plan.Desired) {
		l.requireExactly(l.declare("net", schemas.TypeNetwork, schemas.Network{}), web, edge)
		var names []string
		for _, e := range l.configuration().Services[0].Endpoints {
			require.False(l, e.Draining)
			names = append(names, e.ID)
		}
		require.Equal(l, []string{containerName(web, 0)}, names)
	}
	t.Run("creating the balancer", func(t *testing.T) {
		t.Parallel()
		l := scene(t)
		web := l.web("a", 1)
		l.applied(web)
		walkIn(l.lab, 3,
			func(_ *lab, n int) error {
				if n == 1 {
					return nil
				}
				return l.delete(l.edge(nil).Target)
			},
			func(*lab, int) error { return l.applyEach(l.edge(nil)) },
			func(*lab, int) { requireBalanced(l, l.edge(nil), web) })
	})
	t.Run("changing the policy", func(t *testing.T) {
		t.Parallel()
		l := scene(t)
		web := l.web("a", 1)
		l.applied(web)
		edge := func(n int) plan.Desired {
			return l.edge(func(b *schemas.LoadBalancer) {
				b.TrafficPolicy.DrainTimeout = duration(time.Duration(n+1) * time.Second)
			})
		}
		l.applied(edge(0))
		walkIn(l.lab, 1, func(*lab, int) error { return nil },
			func(_ *lab, n int) error { return l.applyEach(edge(n)) },
			func(_ *lab, n int) { requireBalanced(l, edge(n), web) })
	})
	t.Run("updating the replicas", func(t *testing.T) {
		t.Parallel()
		l := scene(t)
		web := func(n int) plan.Desired { return l.web(fmt.Sprint(n), 1) }
		l.applied(web(0))
		l.applied(l.edge(nil))
		walkIn(l.lab, 8, func(*lab, int) error { return nil },
			func(_ *lab, n int) error { return l.applyEach(web(n)) },
			func(_ *lab, n int) { requireBalanced(l, l.edge(nil), web(n)) })
	})
}

func TestABalancerPassesWhereAGroupNamesIt(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	l := &balancedLab{lab: g.lab, network: g.network, port: freePort(t)}
	l.applied(g.group("web-access", schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, 8080, 0, schemas.Peer{Resource: "edge"})}}))
	l.applied(g.member("web", schemas.Compute{
		Args: []string{"-label", "a"}, SecurityGroups: []string{"web-access"}, Health: patientHTTP(), Ports: []schemas.Port{{ContainerPort: 8080}},
	}))
	l.applied(g.caller("stranger"))
	l.applied(l.edge(nil))
	require.Equal(t, l.ids("web"), l.answering(3))
	g.droppedAt("stranger", g.address("web"), "tcp:8080")
}

func TestAProxyThatIsPausedHoldsNothingUp(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 1))
	l.applied(l.edge(nil))
	id := l.observed("edge").Replicas[0].ID
	_, err := l.engine.ContainerPause(t.Context(), id, client.ContainerPauseOptions{})
	require.NoError(t, err)
	l.applied(l.web("b", 1))
	_, err = l.engine.ContainerUnpause(t.Context(), id, client.ContainerUnpauseOptions{})
	require.NoError(t, err)
	l.applied(l.edge(nil))
	l.eventually(func() bool { text, err := l.caller().get("/who"); return err == nil && strings.HasSuffix(text, " b") }, "it knows the replica")
}
