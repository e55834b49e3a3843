package docker

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

// What people do to containers by hand is seen, and put back without a new
// container wherever the engine allows.
func TestWhatIsChangedByHandIsFoundAndPutBack(t *testing.T) {
	t.Parallel()
	update := func(o client.ContainerUpdateOptions) func(*lab, string) {
		return func(l *lab, id string) {
			_, err := l.engine.ContainerUpdate(l.Context(), id, o)
			require.NoError(l, err)
		}
	}
	cases := map[string]struct {
		change func(l *lab, id string)
		reason string
		// anew says that only a new container has it undone.
		anew bool
	}{
		"a memory limit": {update(client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 32 << 20, MemorySwap: 32 << 20}}),
			"replica 0 was changed: its memory limit is 32MiB, not 64MiB", false},
		"a CPU limit": {update(client.ContainerUpdateOptions{Resources: &container.Resources{NanoCPUs: nanoPerCore / 4}}),
			"replica 0 was changed: its CPU limit is 0.25 cores, not 0.5 cores", false},
		"a limit where there was none": {update(client.ContainerUpdateOptions{Resources: &container.Resources{MemoryReservation: 16 << 20}}),
			"replica 0 was changed: its memory request is 16MiB, not 0B", true},
		"the restart policy": {update(client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyDisabled}}),
			"replica 0 was changed: its restart policy is no, not always", false},
		"a network": {func(l *lab, id string) {
			_, err := l.engine.NetworkDisconnect(l.Context(), "test."+l.scope.Infrastructure+".net", client.NetworkDisconnectOptions{Container: id})
			require.NoError(l, err)
		}, "replica 0 was changed: it is not connected to network test.", false},
		"its life": {func(l *lab, id string) {
			_, err := l.engine.ContainerRemove(l.Context(), id, client.ContainerRemoveOptions{Force: true})
			require.NoError(l, err)
		}, "replica 0 is missing", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			d := l.compute("web", schemas.Compute{
				Networks: []string{l.network("net"), l.network("second")}, Health: patientHTTP(),
				Resources: schemas.Requirements{CPULimit: "0.5", MemoryLimit: "64Mi"}, Replicas: two(),
			})
			l.applied(d)
			require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
			before := l.observed("web").Replicas
			c.change(l, before[0].ID)
			seen := l.observed("web")
			require.Equal(t, plan.StateDegraded, seen.State)
			require.Contains(t, seen.Reason, c.reason)
			require.Equal(t, "1 to update", l.summary(d))

			l.applied(d)
			after := l.observed("web")
			require.Equal(t, plan.StateReady, after.State, after.Reason)
			require.Equal(t, before[1].ID, after.Replicas[1].ID, "the other replica is not touched")
			require.Equal(t, c.anew, before[0].ID != after.Replicas[0].ID, "whether it is a new container")
			require.Equal(t, "1 unchanged", l.summary(d))
		})
	}
}

func two() *int {
	n := 2
	return &n
}
