package docker

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// byHand is the name of something that nobody of Windlass made, on the lab's engine.
func (l *lab) byHand(name string) string { return l.scope.Infrastructure + "_" + name }

func (l *lab) volumeByHand(name string) string {
	l.Helper()
	_, err := l.engine.VolumeCreate(l.Context(), client.VolumeCreateOptions{Name: l.byHand(name), Labels: map[string]string{"com.docker.compose.volume": name}})
	require.NoError(l, err)
	return l.byHand(name)
}

func (l *lab) networkByHand(name, subnet string) string {
	l.Helper()
	_, err := l.engine.NetworkCreate(l.Context(), l.byHand(name), client.NetworkCreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix(subnet)}}}})
	require.NoError(l, err)
	return l.byHand(name)
}

// takenOver applies what is not there yet as a deployment does.
func (l *lab) takenOver(d plan.Desired, what string) schemas.Outputs {
	l.Helper()
	words, err := l.provider.Adopts(l.Context(), d)
	require.NoError(l, err)
	require.Equal(l, what, words)
	return l.applied(d)
}

func TestAVolumeIsTakenOverAndGivenBackWithItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.volumeByHand("data")
	written := l.shellOnVolume(name, "written before")

	d := l.declare("data", schemas.TypeStorage, schemas.Storage{Adopt: name})
	require.Equal(t, schemas.Outputs{"name": name}, l.takenOver(d, `volume "`+name+`"`))
	l.applied(d)
	o := l.observed("data")
	require.Equal(t, plan.StateReady, o.State)
	require.Equal(t, d.SpecHash, o.SpecHash)
	require.Equal(t, `volume "`+name+`"`, o.Adopted)
	operations := plan.Diff([]plan.Desired{d}, []plan.Observed{o}).Operations
	require.Equal(t, schemas.ActionNone, operations[0].Action)
	require.Equal(t, written, l.shellOnVolume(name, ""))

	gone := plan.Diff(nil, []plan.Observed{o}).Operations[0]
	require.Equal(t, schemas.ActionDelete, gone.Action)
	require.True(t, gone.Adopted)
	require.Equal(t, `is no longer declared; volume "`+name+`" stays`, gone.Cause)
	require.NoError(t, l.delete(d.Target))
	require.Equal(t, written, l.shellOnVolume(name, ""))
	require.Contains(t, l.names(), "volume "+name)
	require.NotContains(t, l.names(), "volume "+adoptionName(d.Target))
}

// shellOnVolume writes a file on a volume, where there is text, and says which files are there.
func (l *lab) shellOnVolume(name, text string) string {
	l.Helper()
	made, err := l.engine.ContainerCreate(l.Context(), client.ContainerCreateOptions{
		Name: l.byHand("look"), Config: &container.Config{Image: "windlass.local/postgres:15", Entrypoint: []string{"/bin/sh", "-c", `[ -z "$1" ] || echo "$1" > /data/file; sleep 1000`, "sh", text}, User: "0"},
		HostConfig: &container.HostConfig{Binds: []string{name + ":/data"}},
	})
	require.NoError(l, err)
	defer func() {
		_, err := l.engine.ContainerRemove(l.Context(), made.ID, client.ContainerRemoveOptions{Force: true})
		require.NoError(l, err)
	}()
	_, err = l.engine.ContainerStart(l.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(l, err)
	content := ""
	l.eventually(func() bool {
		_, output, _, err := l.provider.run(l.Context(), made.ID, []string{"cat", "/data/file"}, nil)
		content = output
		return err == nil && output != ""
	}, "the file is there")
	return content
}

func TestANetworkIsTakenOverAndGivenBackWithItsContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	subnet := anySubnet()
	name := l.networkByHand("shared", subnet)
	neighbour, err := l.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: l.byHand("neighbour"), Config: &container.Config{Image: "windlass.local/fixture:1", Cmd: []string{"sleep"}}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(name)},
	})
	require.NoError(t, err)
	_, err = l.engine.ContainerStart(t.Context(), neighbour.ID, client.ContainerStartOptions{})
	require.NoError(t, err)

	d := l.declare("backend", schemas.TypeNetwork, schemas.Network{Adopt: name, Subnet: subnet})
	require.Equal(t, schemas.Outputs{"name": name}, l.takenOver(d, `network "`+name+`"`))
	l.applied(l.compute("web", schemas.Compute{Args: []string{"sleep"}, Networks: []string{name}}))
	require.Equal(t, plan.StateReady, l.observed("backend").State)

	// Saying less of it is another declaration of the same network.
	less := l.declare("backend", schemas.TypeNetwork, schemas.Network{Adopt: name})
	require.NoError(t, l.provider.Permit(less, l.observed("backend")))
	l.applied(less)
	require.Equal(t, less.SpecHash, l.observed("backend").SpecHash)
	other := l.declare("backend", schemas.TypeNetwork, schemas.Network{})
	require.ErrorContains(t, l.provider.Permit(other, l.observed("backend")), "a network is not exchanged under its containers")

	require.NoError(t, l.delete(l.target("web", schemas.TypeCompute)))
	require.NoError(t, l.delete(d.Target))
	require.Contains(t, l.inspect(l.byHand("neighbour")).NetworkSettings.Networks, name)
}

func TestWhatCannotBeTakenOverIsSaidBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	volume, subnet := l.volumeByHand("data"), anySubnet()
	net := l.networkByHand("net", subnet)
	own := l.applied(l.declare("own", schemas.TypeStorage, schemas.Storage{}))["name"]
	l.applied(l.declare("first", schemas.TypeStorage, schemas.Storage{Adopt: volume}))
	tests := map[string]struct {
		declared plan.Desired
		kind     activities.FaultKind
		field    string
		message  string
	}{
		"a volume that is not there":  {l.declare("a", schemas.TypeStorage, schemas.Storage{Adopt: "no-such-volume"}), activities.NotFound, "properties.adopt", `there is no volume named "no-such-volume" to take over`},
		"a network that is not there": {l.declare("a", schemas.TypeNetwork, schemas.Network{Adopt: "no-such-network"}), activities.NotFound, "properties.adopt", `there is no network named "no-such-network" to take over`},
		"a volume of Windlass":        {l.declare("a", schemas.TypeStorage, schemas.Storage{Adopt: own}), activities.Conflict, "properties.adopt", "belongs to own of " + l.scope.String()},
		"a volume of another":         {l.declare("a", schemas.TypeStorage, schemas.Storage{Adopt: volume}), activities.Conflict, "properties.adopt", "is taken over by first of " + l.scope.String() + " already"},
		"another subnet":              {l.declare("a", schemas.TypeNetwork, schemas.Network{Adopt: net, Subnet: "10.1.2.0/24"}), activities.Conflict, "properties.subnet", "has the subnet " + subnet + ", not 10.1.2.0/24"},
		"a network that is open":      {l.declare("a", schemas.TypeNetwork, schemas.Network{Adopt: net, Internal: true}), activities.Conflict, "properties.internal", "is not internal"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := l.provider.Adopts(t.Context(), test.declared)
			var f *activities.Fault
			require.ErrorAs(t, err, &f)
			require.Equal(t, test.kind, f.Kind)
			require.Equal(t, test.field, f.Field)
			require.Contains(t, f.Message, test.message)
			_, err = l.apply(test.declared)
			require.ErrorContains(t, err, test.message, "also when it came to be so after the plan")
		})
	}
	for _, name := range l.names() {
		require.NotContains(t, name, l.scope.Infrastructure+".a", "nothing was done")
	}
}

func TestWhatWasTakenOverIsMissedWhenItIsGone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.volumeByHand("data")
	l.applied(l.declare("data", schemas.TypeStorage, schemas.Storage{Adopt: name}))
	_, err := l.engine.VolumeRemove(t.Context(), name, client.VolumeRemoveOptions{})
	require.NoError(t, err)
	o := l.observed("data")
	require.Equal(t, plan.StateDegraded, o.State)
	require.Equal(t, `volume "`+name+`", which was taken over, is gone`, o.Reason)
}

func TestTheSizeOfAVolumeIsBoundedWhereTheEngineCan(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	memory := l.declare("memory", schemas.TypeStorage, schemas.Storage{Size: "16Mi", Options: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "noexec"}})
	name := l.applied(memory)["name"]
	l.applied(memory)
	made, err := l.engine.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{})
	require.NoError(t, err)
	require.Equal(t, "noexec,size=16777216", made.Volume.Options["o"])
	user := l.compute("web", schemas.Compute{Args: []string{"sleep"}, Volumes: []schemas.VolumeMount{{Source: name, MountPath: "/data"}}})
	l.applied(user)

	// The engine of the tests keeps its data on a file system without project quotas.
	f := l.fault(l.declare("disk", schemas.TypeStorage, schemas.Storage{Size: "16Mi"}), activities.Invalid)
	require.Equal(t, "properties.size", f.Field)
	require.Contains(t, f.Message, "cannot bound the size of this volume")
	f = l.fault(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "postgres", Version: "15", Size: "16Mi"}), activities.Invalid)
	require.Equal(t, "properties.size", f.Field)
}
