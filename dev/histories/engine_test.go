package histories

import (
	"context"
	"errors"
	"testing"

	"github.com/moby/moby/api/types/container"
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
		require.NoError(t, remove(ctx, engine, labelled(environment)))
	})
}

// labelled finds what belongs to an environment.
func labelled(environment string) client.Filters {
	return client.Filters{}.Add("label", activities.LabelEnvironment+"="+environment)
}

// removeContainers removes the containers of an environment, as by hand.
func removeContainers(t *testing.T, environment string) {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer func() { _ = engine.Close() }()
	require.NoError(t, clearContainers(t.Context(), engine, labelled(environment)))
}

// containers are those of an environment.
func containers(t *testing.T, environment string) []container.Summary {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer func() { _ = engine.Close() }()
	found, err := engine.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: labelled(environment)})
	require.NoError(t, err)
	return found.Items
}

func clearContainers(ctx context.Context, engine *client.Client, of client.Filters) error {
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: of})
	errs := []error{err}
	for _, c := range containers.Items {
		_, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func remove(ctx context.Context, engine *client.Client, of client.Filters) error {
	errs := []error{clearContainers(ctx, engine, of)}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: of})
	errs = append(errs, err)
	for _, n := range networks.Items {
		_, err := engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		errs = append(errs, err)
	}
	volumes, err := engine.VolumeList(ctx, client.VolumeListOptions{Filters: of})
	errs = append(errs, err)
	for _, v := range volumes.Items {
		_, err := engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
