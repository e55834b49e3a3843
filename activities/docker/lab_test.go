package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// proxyBinary is the proxy that the balancers of the tests run.
var proxyBinary string

func TestMain(m *testing.M) {
	if err := images.Ensure(context.Background(), images.Fixture(), images.Postgres(), images.Redis()); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a container engine and the images of dev/images:", err)
		os.Exit(1)
	}
	var err error
	if proxyBinary, err = images.ProxyBinary(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// lab is one scope on the real engine, which is empty before and after the test.
type lab struct {
	*testing.T
	engine   *client.Client
	provider *Provider
	// place is the provider's name; the default is "docker".
	place string
	scope schemas.Scope
	// mark is a part of the name of everything that the test makes, and of nothing else.
	mark    string
	secrets activities.Secrets
	spoken  *transcript
}

func newLab(t *testing.T) *lab { return newLabAt(t, "") }

func newLabAt(t *testing.T, host string) *lab {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { engine.Close() })
	vault, err := activities.NewVault([]byte(rand.Text()+rand.Text()), t.TempDir())
	require.NoError(t, err)
	scope := schemas.Scope{Environment: "test", Infrastructure: "lab-" + strings.ToLower(rand.Text()[:10])}
	l := &lab{T: t, engine: engine, provider: newProvider(t, host), scope: scope, mark: scope.Infrastructure, secrets: vault.Open(scope), spoken: &transcript{}}
	t.Cleanup(l.clear)
	return l
}

func newProvider(t *testing.T, host string) *Provider {
	t.Helper()
	return newNamedProvider(t, "docker", host)
}

func newNamedProvider(t *testing.T, name, host string) *Provider {
	t.Helper()
	p, err := New(Config{Name: name, Host: host, PostgresImage: "windlass.local/postgres:{version}", RedisImage: "windlass.local/redis:{version}", ProxyBinary: proxyBinary})
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// clear removes what is left of the scope, by name and label, so that a failed
// test leaves nothing behind.
func (l *lab) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, c := range l.containers() {
		_, _ = l.engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
	filters := client.Filters{}.Add("name", l.mark)
	if volumes, err := l.engine.VolumeList(ctx, client.VolumeListOptions{Filters: filters}); err == nil {
		for _, v := range volumes.Items {
			_, _ = l.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
		}
	}
	if networks, err := l.engine.NetworkList(ctx, client.NetworkListOptions{Filters: filters}); err == nil {
		for _, n := range networks.Items {
			_, _ = l.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		}
	}
}

// observedOrNone is what is observed of a resource; empty is nothing.
func (l *lab) observedOrNone(resource string) []plan.Observed {
	l.Helper()
	all, err := l.provider.Observe(l.Context(), l.scope)
	require.NoError(l, err)
	return slices.DeleteFunc(all, func(o plan.Observed) bool { return o.Resource != resource })
}

// containers are all of the scope, found by name: also those without labels.
func (l *lab) containers() []listed {
	l.Helper()
	list, err := l.engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", l.mark)})
	require.NoError(l, err)
	var all []listed
	for _, c := range list.Items {
		all = append(all, listed{c})
	}
	return all
}

// names are the names of all containers, networks and volumes of the scope.
func (l *lab) names() []string {
	l.Helper()
	var names []string
	for _, c := range l.containers() {
		names = append(names, "container "+c.name()+" "+string(c.State))
	}
	filters := client.Filters{}.Add("name", l.mark)
	networks, err := l.engine.NetworkList(context.Background(), client.NetworkListOptions{Filters: filters})
	require.NoError(l, err)
	for _, n := range networks.Items {
		names = append(names, "network "+n.Name)
	}
	volumes, err := l.engine.VolumeList(context.Background(), client.VolumeListOptions{Filters: filters})
	require.NoError(l, err)
	for _, v := range volumes.Items {
		names = append(names, "volume "+v.Name)
	}
	return names
}

func (l *lab) target(resource string, kind schemas.ResourceType) plan.Target {
	return plan.Target{Scope: l.scope, Resource: resource, Type: kind, Provider: cmp.Or(l.place, "docker")}
}

// declare makes a declaration with the real hash.
func (l *lab) declare(resource string, kind schemas.ResourceType, properties any) plan.Desired {
	l.Helper()
	text, err := json.Marshal(properties)
	require.NoError(l, err)
	hash, err := plan.Hash(kind, text)
	require.NoError(l, err)
	return plan.Desired{Target: l.target(resource, kind), Revision: 1, SpecHash: hash, Properties: text}
}

func (l *lab) compute(resource string, c schemas.Compute) plan.Desired {
	l.Helper()
	if c.Image == "" {
		c.Image = images.FixtureReference
	}
	return l.declare(resource, schemas.TypeCompute, c)
}

// network makes a network and returns its name.
func (l *lab) network(resource string) string {
	l.Helper()
	return l.applied(l.declare(resource, schemas.TypeNetwork, schemas.Network{}))["name"]
}

func (l *lab) apply(d plan.Desired) (schemas.Outputs, error) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 3*time.Minute)
	defer cancel()
	return l.provider.Apply(ctx, d, l.secrets, l.spoken.say)
}

func (l *lab) applied(d plan.Desired) schemas.Outputs {
	l.Helper()
	outputs, err := l.apply(d)
	require.NoError(l, err)
	return outputs
}

// fault applies what must fail with a Fault of that kind.
func (l *lab) fault(d plan.Desired, kind activities.FaultKind) *activities.Fault {
	l.Helper()
	_, err := l.apply(d)
	return requireFault(l, err, kind)
}

func requireFault(t require.TestingT, err error, kind activities.FaultKind) *activities.Fault {
	var f *activities.Fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, err.Error())
	return f
}

func (l *lab) delete(t plan.Target) error {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), time.Minute)
	defer cancel()
	return l.provider.Delete(ctx, t, l.spoken.say)
}

// observed returns what Observe sees of the resource.
func (l *lab) observed(resource string) plan.Observed {
	l.Helper()
	all, err := l.provider.Observe(l.Context(), l.scope)
	require.NoError(l, err)
	for _, o := range all {
		if o.Resource == resource {
			return o
		}
	}
	require.Failf(l, "not observed", "%s is not among %v", resource, all)
	return plan.Observed{}
}

func (l *lab) inspect(name string) container.InspectResponse {
	l.Helper()
	c, err := l.engine.ContainerInspect(l.Context(), name, client.ContainerInspectOptions{})
	require.NoError(l, err)
	return c.Container
}

// eventually polls until the condition holds.
func (l *lab) eventually(condition func() bool, what string) {
	l.Helper()
	require.Eventually(l, condition, time.Minute, 50*time.Millisecond, what)
}

// transcript keeps what was said as progress.
type transcript struct {
	mu    sync.Mutex
	lines []string
}

func (s *transcript) say(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, message)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func duration(d time.Duration) *quantity.Duration {
	v := quantity.Duration(d)
	return &v
}

// patientHTTP is a check of the fixture for replicas that will be healthy, however
// busy the machine is.
func patientHTTP() *schemas.Health {
	h := quickHTTP()
	h.StartPeriod = duration(time.Minute)
	return h
}

// quickHTTP is a check of the fixture that gives up within about a second.
func quickHTTP() *schemas.Health {
	return &schemas.Health{HTTP: &schemas.HTTPCheck{Path: "/healthz", Port: 8080},
		Interval: duration(100 * time.Millisecond), Timeout: duration(2 * time.Second), StartPeriod: duration(time.Second)}
}

func number(n int) *int { return &n }
