package docker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

func otherProxy(t *testing.T) string {
	t.Helper()
	path, err := images.OtherProxy(proxyBinary, t.TempDir(), "another version")
	require.NoError(t, err)
	return path
}

func TestAProxyGoesOnAsAnotherVersionWithoutALostRequest(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 2))
	// Which is also what the former version has to finish what is in flight.
	edge := l.edge(func(b *schemas.LoadBalancer) { b.StopGracePeriod = duration(30 * time.Second) })
	l.applied(edge)
	before, former := l.ids("edge"), l.configuration().Labels[activities.LabelProxy]
	load := startLoad(t, l)

	l.provider.proxyBinary = otherProxy(t)
	o := l.observed("edge")
	require.Equal(t, plan.StateDegraded, o.State)
	require.Contains(t, o.Reason, "it runs another version of the proxy")
	l.applied(edge)
	require.Equal(t, plan.StateReady, l.observed("edge").State, l.observed("edge").Reason)
	load.requireNoneLost(t)
	require.Equal(t, before, l.ids("edge"), "the container is the same")
	require.NotEqual(t, former, l.configuration().Labels[activities.LabelProxy])

	// One that does not run takes the version with its next start.
	id := l.observed("edge").Replicas[0].ID
	_, err := l.engine.ContainerRestart(t.Context(), id, client.ContainerRestartOptions{})
	require.NoError(t, err)
	l.eventually(func() bool { return l.observed("edge").State == plan.StateReady }, "restarted")
	code, _, _, err := l.provider.run(t.Context(), id, []string{proxyState + "/" + keptProxy, "version"}, nil)
	require.NoError(t, err)
	require.Zero(t, code, "the version is not kept")
	require.Len(t, l.answering(6), 2)
	version := l.configuration().Version
	l.applied(edge)
	require.Equal(t, version, l.configuration().Version, "what is as declared is left alone")
}

// Replicas are exchanged again and again, and meanwhile the proxy by one version of
// itself after the other.
func TestTheProxyIsReplacedInTheMiddleOfRolloutsWithoutALostRequest(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	const replicas, rounds = 3, 2
	versions := []plan.Desired{l.web("a", replicas), l.web("b", replicas)}
	l.applied(versions[0])
	l.applied(l.edge(func(b *schemas.LoadBalancer) { b.StopGracePeriod = duration(30 * time.Second) }))
	before := l.ids("edge")
	load := startLoad(t, l)

	moving, moved := context.WithCancel(t.Context())
	defer moved()
	upgrades := 0
	var upgrading sync.WaitGroup
	upgrading.Go(func() {
		places := []string{otherProxy(t), proxyBinary}
		for moving.Err() == nil {
			other := newProvider(t, "")
			other.proxyBinary = places[upgrades%2]
			balancers, err := other.balancersOf(t.Context(), versions[0].Target)
			if assert.NoError(t, err) && assert.Len(t, balancers, 1) {
				assert.NoError(t, balancers[0].upgrade(t.Context(), "", fmt.Sprint("upgrade ", upgrades), l.spoken.say))
			}
			upgrades++
			_ = pause(moving, time.Second, "the next upgrade")
		}
	})
	for round := 1; round <= rounds; round++ {
		now, former := versions[round%2], versions[(round+1)%2]
		for index := range replicas {
			joins, leaves := l.started(now, index), containerName(former, index)
			require.NoError(t, l.provider.AwaitReplica(t.Context(), now, index, l.secrets, l.spoken.say))
			require.NoError(t, l.provider.Route(t.Context(), now, activities.Routing{Join: []string{joins}, Leave: []string{leaves}}, l.spoken.say))
			require.NoError(t, l.provider.DrainReplica(t.Context(), former.Target, leaves, l.spoken.say))
			require.NoError(t, l.provider.RemoveReplica(t.Context(), former.Target, leaves, l.spoken.say))
		}
	}
	moved()
	upgrading.Wait()
	load.requireNoneLost(t)
	require.Greater(t, upgrades, 2, "the proxy was replaced too seldom for the test to show anything")
	require.Equal(t, before, l.ids("edge"), "the container is the same")
	require.Len(t, l.answering(2*replicas), replicas)
}

func TestAnAccessLogIsWrittenWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	l.applied(l.web("a", 1))
	l.applied(l.edge(func(b *schemas.LoadBalancer) { b.AccessLog = true }))
	l.answering(1)
	l.eventually(func() bool {
		return strings.Contains(strings.Join(l.provider.lastLines(t.Context(), l.observed("edge").Replicas[0].ID, l.secrets), "\n"), "/who")
	}, "the request is in the log")
}
