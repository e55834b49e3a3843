package integration

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
)

// engineSocket is the socket of the engine that the tests use.
func engineSocket() string {
	if host, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		return host
	}
	return "/var/run/docker.sock"
}

func newEngine(t *testing.T) *client.Client {
	t.Helper()
	engine, err := client.New(client.WithHost("unix://" + engineSocket()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// newEnvironment returns a name that nobody else uses. Whatever the environment
// still has when the test ends is removed.
func newEnvironment(t *testing.T) string {
	t.Helper()
	random := make([]byte, 4)
	rand.Read(random)
	environment := "t" + hex.EncodeToString(random)
	engine := newEngine(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.Eventually(t, func() bool { return clear(ctx, engine, environment) }, patience, 200*time.Millisecond, "the environment is not removed")
	})
	return environment
}

// object is a container, network or volume.
type object struct {
	kind, id, name string
	state          container.ContainerState
	labels         map[string]string
}

// objectsOf lists what belongs to an environment by its labels or only by its name.
func objectsOf(ctx context.Context, engine *client.Client, environment string) ([]object, error) {
	var all []object
	add := func(o object) {
		if o.labels[activities.LabelEnvironment] == environment || strings.HasPrefix(o.name, environment+".") {
			all = append(all, o)
		}
	}
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		add(object{"container", c.ID, strings.TrimPrefix(strings.Join(c.Names, ","), "/"), c.State, c.Labels})
	}
	volumes, err := engine.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		add(object{"volume", v.Name, v.Name, "", v.Labels})
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		add(object{"network", n.ID, n.Name, "", n.Labels})
	}
	return all, nil
}

// clear removes what an environment has and says whether nothing is left.
func clear(ctx context.Context, engine *client.Client, environment string) bool {
	all, err := objectsOf(ctx, engine, environment)
	if err != nil {
		return false
	}
	for _, o := range all { // containers come first
		switch o.kind {
		case "container":
			_, _ = engine.ContainerRemove(ctx, o.id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		case "volume":
			_, _ = engine.VolumeRemove(ctx, o.id, client.VolumeRemoveOptions{Force: true})
		case "network":
			_, _ = engine.NetworkRemove(ctx, o.id, client.NetworkRemoveOptions{})
		}
	}
	return len(all) == 0
}

// requireObjects fails unless an environment has exactly the objects, each given
// as kind and name without environment and spec hash, and all containers run, beside a
// replica that failed and was set aside.
func requireObjects(t *testing.T, environment string, wanted ...string) []object {
	t.Helper()
	all, err := objectsOf(t.Context(), newEngine(t), environment)
	require.NoError(t, err)
	var found []string
	for _, o := range all {
		name := strings.TrimPrefix(o.name, environment+".")
		if strings.HasSuffix(name, ".failed") {
			require.Equal(t, container.StateExited, o.state, "container %s", o.name)
			continue
		}
		if o.kind == "container" {
			name = name[:strings.LastIndexByte(name, '.')]
			require.Equal(t, container.StateRunning, o.state, "container %s", o.name)
		}
		require.Equal(t, environment, o.labels[activities.LabelEnvironment], "%s %s has no labels", o.kind, o.name)
		found = append(found, o.kind+" "+name)
	}
	require.Equal(t, slices.Sorted(slices.Values(wanted)), slices.Sorted(slices.Values(found)), "the objects of the environment are not those that are declared")
	return all
}

// containersOf returns the containers of a resource by name.
func containersOf(t *testing.T, environment, resource string) map[string]container.InspectResponse {
	t.Helper()
	engine := newEngine(t)
	all, err := objectsOf(t.Context(), engine, environment)
	require.NoError(t, err)
	found := map[string]container.InspectResponse{}
	for _, o := range all {
		if o.kind == "container" && o.labels[activities.LabelResource] == resource {
			c, err := engine.ContainerInspect(t.Context(), o.id, client.ContainerInspectOptions{})
			require.NoError(t, err)
			found[o.name] = c.Container
		}
	}
	return found
}

// lives says since when each container of a resource runs that was not set aside, by its
// id: two equal answers mean that nothing was touched in between.
func lives(t *testing.T, environment, resource string) map[string]string {
	t.Helper()
	started := map[string]string{}
	for name, c := range containersOf(t, environment, resource) {
		if strings.HasSuffix(name, ".failed") {
			continue
		}
		require.True(t, c.State.Running, "%s does not run", c.Name)
		started[c.ID] = c.State.StartedAt
	}
	return started
}

// addressOf is where a container answers.
func addressOf(t *testing.T, c container.InspectResponse) string {
	t.Helper()
	for _, endpoint := range c.NetworkSettings.Networks {
		if endpoint.IPAddress.IsValid() {
			return endpoint.IPAddress.String()
		}
	}
	require.FailNow(t, "the container has no address", c.Name)
	return ""
}

var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
