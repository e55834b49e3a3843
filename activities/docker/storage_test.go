package docker

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

func TestAVolumeIsMadeOnceAndDeleted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.declare("data", schemas.TypeStorage, schemas.Storage{Labels: map[string]string{"team": "accounts"}})
	name := "test." + l.scope.Infrastructure + ".data"
	require.Equal(t, schemas.Outputs{"name": name}, l.applied(d))
	l.applied(d)
	require.Equal(t, []string{"volume " + name}, l.names())
	found, err := l.engine.VolumeInspect(t.Context(), name, client.VolumeInspectOptions{})
	require.NoError(t, err)
	require.Equal(t, "accounts", found.Volume.Labels["team"])
	o := l.observed("data")
	require.Equal(t, plan.StateReady, o.State)
	require.Equal(t, d.SpecHash, o.SpecHash)

	require.NoError(t, l.delete(d.Target))
	require.NoError(t, l.delete(d.Target), "gone is no error")
	require.Empty(t, l.names())
}

func TestARetainedVolumeOutlivesItsDeclaration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.declare("data", schemas.TypeStorage, schemas.Storage{Retention: schemas.RetentionRetain})
	l.applied(d)
	volume := []string{"volume test." + l.scope.Infrastructure + ".data"}

	o := l.observed("data")
	require.True(t, o.Retained)
	gone := plan.Diff(nil, []plan.Observed{o})
	require.Equal(t, "1 retained", gone.String(), "destroying, rolling back and removing it from the document leave it")
	require.NoError(t, l.delete(d.Target))
	require.Equal(t, volume, l.names(), "the provider deletes it all the same")

	again := plan.Diff([]plan.Desired{d}, []plan.Observed{l.observed("data")})
	require.Equal(t, "1 unchanged", again.String())
	f := l.refused(l.declare("data", schemas.TypeStorage, schemas.Storage{}))
	require.Equal(t, "properties.retention", f.Field)
}

func TestStorageFaults(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.applied(l.declare("data", schemas.TypeStorage, schemas.Storage{}))

	t.Run("an unknown driver names the field", func(t *testing.T) {
		f := l.fault(l.declare("other", schemas.TypeStorage, schemas.Storage{Driver: "no-such-driver"}), activities.NotFound)
		require.Equal(t, "properties.driver", f.Field)
	})
	t.Run("an unknown option names the field", func(t *testing.T) {
		f := l.fault(l.declare("other", schemas.TypeStorage, schemas.Storage{Options: map[string]string{"no-such": "option"}}), activities.Invalid)
		require.Equal(t, "properties.options", f.Field)
	})
	t.Run("a volume of the same name that is not ours is left alone", func(t *testing.T) {
		d := l.declare("theirs", schemas.TypeStorage, schemas.Storage{})
		_, err := l.engine.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: objectName(d.Target)})
		require.NoError(t, err)
		require.Contains(t, l.fault(d, activities.Conflict).Message, objectName(d.Target))
		require.NoError(t, l.delete(d.Target))
		require.Contains(t, l.names(), "volume "+objectName(d.Target))
	})
	t.Run("a volume in use by others is not deleted", func(t *testing.T) {
		other := "other-" + l.scope.Infrastructure
		_, err := l.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: other, Config: &container.Config{Image: images.FixtureReference},
			HostConfig: &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "test." + l.scope.Infrastructure + ".data", Target: "/data"}}},
		})
		require.NoError(t, err)
		f := requireFault(t, l.delete(l.target("data", schemas.TypeStorage)), activities.Conflict)
		require.Contains(t, f.Message, other)
	})
}
