package docker

import (
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

func TestANetworkIsMadeOnceAndCarriesTheLabels(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{Internal: true, Labels: map[string]string{"team": "accounts"}})
	d.Revision, d.DependsOn = 4, []string{"one", "two"}
	predicted, err := l.provider.Outputs(d)
	require.NoError(t, err)

	require.Equal(t, predicted, l.applied(d))
	require.Equal(t, predicted, l.applied(d))

	name := "test." + l.scope.Infrastructure + ".backend"
	require.Equal(t, schemas.Outputs{"name": name}, predicted)
	require.Equal(t, []string{"network " + name}, l.names())
	found, err := l.engine.NetworkInspect(t.Context(), name, client.NetworkInspectOptions{})
	require.NoError(t, err)
	require.True(t, found.Network.Internal)
	require.Equal(t, map[string]string{
		"team": "accounts", "io.windlass.environment": "test", "io.windlass.infrastructure": l.scope.Infrastructure,
		"io.windlass.resource": "backend", "io.windlass.type": "Network", "io.windlass.provider": "docker",
		"io.windlass.revision": "4", "io.windlass.spec": d.SpecHash, "io.windlass.dependson": "one,two",
		"io.windlass.properties": string(d.Properties),
		"io.windlass.outputs":    `{"name":"` + name + `"}`,
	}, found.Network.Labels)
	require.Equal(t, plan.Observed{Target: d.Target, Revision: 4, SpecHash: d.SpecHash, Properties: d.Properties, DependsOn: []string{"one", "two"},
		State: plan.StateReady, Outputs: predicted}, l.observed("backend"))
}

func TestCallsSideBySideMakeOneNetwork(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{})
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			_, err := l.apply(d)
			require.NoError(t, err)
		})
	}
	calls.Wait()
	require.Len(t, l.names(), 1)
}

func TestOfTwoNetworksOfOneNameTheYoungerOneGoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{})
	l.applied(d)
	older, err := l.engine.NetworkInspect(t.Context(), objectName(d.Target), client.NetworkInspectOptions{})
	require.NoError(t, err)
	_, err = l.engine.NetworkCreate(t.Context(), objectName(d.Target), client.NetworkCreateOptions{Driver: "bridge", Labels: older.Network.Labels})
	require.NoError(t, err)
	require.Len(t, l.names(), 2)
	require.Equal(t, plan.StateDegraded, l.observed("backend").State)

	l.applied(d)
	require.Len(t, l.names(), 1)
	left, err := l.engine.NetworkInspect(t.Context(), objectName(d.Target), client.NetworkInspectOptions{})
	require.NoError(t, err)
	require.Equal(t, older.Network.ID, left.Network.ID)
}

func TestAChangedNetworkIsReplacedUnderItsContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.network("backend")
	l.applied(l.compute("web", schemas.Compute{Networks: []string{name}, Health: patientHTTP()}))
	before := l.observed("web").Replicas[0]

	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{Internal: true})
	l.applied(d)

	require.Equal(t, d.SpecHash, l.observed("backend").SpecHash)
	after := l.observed("web").Replicas[0]
	require.Equal(t, before.ID, after.ID)
	require.Equal(t, plan.HealthHealthy, after.Health)
	require.Subset(t, l.inspect(after.Name).NetworkSettings.Networks[name].Aliases, []string{"web", "web-0"})
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	l := newLab(t)

	t.Run("a network of the same name that is not ours is left alone", func(t *testing.T) {
		d := l.declare("theirs", schemas.TypeNetwork, schemas.Network{})
		_, err := l.engine.NetworkCreate(t.Context(), objectName(d.Target), client.NetworkCreateOptions{Driver: "bridge"})
		require.NoError(t, err)
		f := l.fault(d, activities.Conflict)
		require.Contains(t, f.Message, objectName(d.Target))
		require.NotEmpty(t, f.Hint)
		require.NoError(t, l.delete(d.Target))
		require.Equal(t, []string{"network " + objectName(d.Target)}, l.names())
	})
	t.Run("a subnet that overlaps names the field", func(t *testing.T) {
		used := l.network("first")
		n, err := l.engine.NetworkInspect(t.Context(), used, client.NetworkInspectOptions{})
		require.NoError(t, err)
		f := l.fault(l.declare("second", schemas.TypeNetwork, schemas.Network{Subnet: n.Network.IPAM.Config[0].Subnet.String()}), activities.Conflict)
		require.Equal(t, "properties.subnet", f.Field)
	})
	t.Run("a reserved label is refused", func(t *testing.T) {
		f := l.fault(l.declare("third", schemas.TypeNetwork, schemas.Network{Labels: map[string]string{"io.windlass.resource": "x"}}), activities.Invalid)
		require.Equal(t, "properties.labels", f.Field)
	})
	t.Run("a target of another provider is refused", func(t *testing.T) {
		d := l.declare("fourth", schemas.TypeNetwork, schemas.Network{})
		d.Provider = "elsewhere"
		l.fault(d, activities.Invalid)
	})
}

func TestANetworkInUseByOthersIsNeitherReplacedNorDeleted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.network("backend")
	other := "other-" + l.scope.Infrastructure
	made, err := l.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: other, Config: &container.Config{Image: images.FixtureReference},
		HostConfig:       &container.HostConfig{NetworkMode: container.NetworkMode(name)},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: {}}},
	})
	require.NoError(t, err)
	_, err = l.engine.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(t, err)

	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{Internal: true})
	require.Contains(t, l.fault(d, activities.Conflict).Message, other)
	f := requireFault(t, l.delete(d.Target), activities.Conflict)
	require.Contains(t, f.Message, other)
	require.True(t, l.inspect(other).State.Running)

	_, err = l.engine.ContainerRemove(t.Context(), made.ID, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	require.NoError(t, l.delete(d.Target))
	require.NoError(t, l.delete(d.Target), "gone is no error")
	require.Empty(t, l.names())
}
