package docker

import (
	"maps"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Names alone mean nothing: what has the name of an object of ours, and not all of
// its labels, belongs to somebody else.
func TestWhatHasOurNameAndNotOurLabelsIsNeverTouched(t *testing.T) {
	t.Parallel()
	strangers := map[string]func(map[string]string) map[string]string{
		"no labels":                   func(map[string]string) map[string]string { return nil },
		"another provider's labels":   func(l map[string]string) map[string]string { l[activities.LabelProvider] = "elsewhere"; return l },
		"another environment's":       func(l map[string]string) map[string]string { l[activities.LabelEnvironment] = "production"; return l },
		"another resource's":          func(l map[string]string) map[string]string { l[activities.LabelResource] = "other"; return l },
		"a type of resource and more": func(l map[string]string) map[string]string { delete(l, activities.LabelInfrastructure); return l },
	}
	kinds := map[schemas.ResourceType]struct {
		properties any
		make       func(l *lab, d plan.Desired, labels map[string]string)
		there      func(l *lab, d plan.Desired) error
	}{
		schemas.TypeNetwork: {
			schemas.Network{},
			func(l *lab, d plan.Desired, labels map[string]string) {
				_, err := l.engine.NetworkCreate(l.Context(), objectName(d.Target), client.NetworkCreateOptions{Labels: labels})
				require.NoError(l, err)
			},
			func(l *lab, d plan.Desired) error {
				_, err := l.engine.NetworkInspect(l.Context(), objectName(d.Target), client.NetworkInspectOptions{})
				return err
			},
		},
		schemas.TypeStorage: {
			schemas.Storage{},
			func(l *lab, d plan.Desired, labels map[string]string) {
				_, err := l.engine.VolumeCreate(l.Context(), client.VolumeCreateOptions{Name: objectName(d.Target), Labels: labels})
				require.NoError(l, err)
			},
			func(l *lab, d plan.Desired) error {
				_, err := l.engine.VolumeInspect(l.Context(), objectName(d.Target), client.VolumeInspectOptions{})
				return err
			},
		},
		schemas.TypeCompute: {
			schemas.Compute{Image: "windlass.local/fixture:1", Args: []string{"sleep"}},
			func(l *lab, d plan.Desired, labels map[string]string) {
				made, err := l.engine.ContainerCreate(l.Context(), client.ContainerCreateOptions{
					Name: containerName(d, 0), Config: &container.Config{Image: "windlass.local/fixture:1", Cmd: []string{"sleep"}, Labels: labels},
				})
				require.NoError(l, err)
				_, err = l.engine.ContainerStart(l.Context(), made.ID, client.ContainerStartOptions{})
				require.NoError(l, err)
			},
			func(l *lab, d plan.Desired) error {
				c, err := l.engine.ContainerInspect(l.Context(), containerName(d, 0), client.ContainerInspectOptions{})
				if err == nil {
					require.True(l, c.Container.State.Running)
				}
				return err
			},
		},
	}
	for kind, k := range kinds {
		for name, change := range strangers {
			t.Run(string(kind)+" with "+name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				d := l.declare("thing", kind, k.properties)
				k.make(l, d, change(maps.Clone(activities.DeclarationLabels(d))))
				f := l.fault(d, activities.Conflict)
				require.Contains(t, f.Message, "that does not carry the labels of this resource")
				require.NoError(t, k.there(l, d))
				require.Empty(t, l.observedOrNone("thing"))
				require.NoError(t, l.delete(d.Target))
				require.NoError(t, k.there(l, d))
			})
		}
	}
}
