package histories

import (
	"context"
	"errors"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
)

// removeAtEnd removes whatever an environment still has when the test ends.
func removeAtEnd(t *testing.T, environment string) {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		defer func() { _ = engine.Close() }()
		require.NoError(t, remove(ctx, engine, client.Filters{}.Add("label", activities.LabelEnvironment+"="+environment)))
	})
}

func remove(ctx context.Context, engine *client.Client, labelled client.Filters) error {
	var errs []error
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled})
	errs = append(errs, err)
	for _, c := range containers.Items {
		_, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		errs = append(errs, err)
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: labelled})
	errs = append(errs, err)
	for _, n := range networks.Items {
		_, err := engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		errs = append(errs, err)
	}
	volumes, err := engine.VolumeList(ctx, client.VolumeListOptions{Filters: labelled})
	errs = append(errs, err)
	for _, v := range volumes.Items {
		_, err := engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
