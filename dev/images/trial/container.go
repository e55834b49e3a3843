// Package trial runs the images of package images for the length of a test. Every object gets a name of its own and is removed
// when the test ends. A missing engine fails the test.
package trial

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/dev/images"
)

// Options is what may differ from one container to the next. The zero value runs the image as it is.
type Options struct {
	// Environment adds variables, each NAME=value.
	Environment []string
	// Command replaces the image's.
	Command []string
	// Binds mounts volumes or host paths, each SOURCE:TARGET.
	Binds []string
	// Network connects to this network instead of the engine's default one.
	Network string
	// Ports are container ports, such as 5432/tcp, that are published on a free port of the loopback address.
	Ports []string
}

// Container is a container that runs until the test ends.
type Container struct {
	// ID is the engine's id.
	ID string
	// Name is unique, and the host name for others in the same network.
	Name   string
	engine *client.Client
}

// Engine returns a client for the engine that the environment names and closes it when the test ends.
func Engine(t *testing.T) *client.Client {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { engine.Close() })
	return engine
}

// Name returns a name that no other test uses.
func Name(prefix string) string {
	return prefix + "-" + uuid.NewString()[:8]
}

// Run makes the image if need be and starts a container of it.
func Run(t *testing.T, engine *client.Client, image images.Image, options Options) *Container {
	t.Helper()
	require.NoError(t, images.Ensure(t.Context(), image))

	published := network.PortMap{}
	for _, text := range options.Ports {
		port, err := network.ParsePort(text)
		require.NoError(t, err)
		published[port] = []network.PortBinding{{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	}
	name := Name("windlass-trial")
	created, err := engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name:   name,
		Config: &container.Config{Image: image.Reference, Env: options.Environment, Cmd: options.Command},
		HostConfig: &container.HostConfig{
			Binds:        options.Binds,
			NetworkMode:  container.NetworkMode(options.Network),
			PortBindings: published,
		},
	})
	require.NoError(t, err)
	c := &Container{ID: created.ID, Name: name, engine: engine}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", image.Reference, c.logs(t, context.Background()))
		}
		c.remove(t)
	})
	_, err = engine.ContainerStart(t.Context(), created.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	return c
}

// Network makes a bridge network and returns its name.
func Network(t *testing.T, engine *client.Client) string {
	t.Helper()
	name := Name("windlass-trial")
	_, err := engine.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{Driver: "bridge"})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := engine.NetworkRemove(context.Background(), name, client.NetworkRemoveOptions{})
		require.NoError(t, err)
	})
	return name
}

// Volume makes a volume and returns its name.
func Volume(t *testing.T, engine *client.Client) string {
	t.Helper()
	name := Name("windlass-trial")
	_, err := engine.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := engine.VolumeRemove(context.Background(), name, client.VolumeRemoveOptions{})
		require.NoError(t, err)
	})
	return name
}

// Address returns where a published port, such as 5432/tcp, is reached.
func (c *Container) Address(t *testing.T, text string) string {
	t.Helper()
	port, err := network.ParsePort(text)
	require.NoError(t, err)
	inspected, err := c.engine.ContainerInspect(t.Context(), c.ID, client.ContainerInspectOptions{})
	require.NoError(t, err)
	bindings := inspected.Container.NetworkSettings.Ports[port]
	require.NotEmpty(t, bindings, "port %s is not published", text)
	return "127.0.0.1:" + bindings[0].HostPort
}

// Logs returns all that the container has printed so far, both streams in the order of arrival.
func (c *Container) Logs(t *testing.T) string {
	t.Helper()
	return c.logs(t, t.Context())
}

func (c *Container) logs(t *testing.T, ctx context.Context) string {
	t.Helper()
	stream, err := c.engine.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	require.NoError(t, err)
	defer stream.Close()
	var text bytes.Buffer
	_, err = stdcopy.StdCopy(&text, &text, stream)
	require.NoError(t, err)
	return text.String()
}

// Kill ends the container at once, as a power loss would.
func (c *Container) Kill(t *testing.T) {
	t.Helper()
	_, err := c.engine.ContainerKill(t.Context(), c.ID, client.ContainerKillOptions{Signal: "SIGKILL"})
	require.NoError(t, err)
	c.Wait(t)
}

// Stop asks the container to end and returns its exit code, which is 137 when it had to be killed after the seconds of grace.
func (c *Container) Stop(t *testing.T, seconds int) int {
	t.Helper()
	_, err := c.engine.ContainerStop(t.Context(), c.ID, client.ContainerStopOptions{Timeout: &seconds})
	require.NoError(t, err)
	return c.Wait(t)
}

// Wait returns the exit code once the container has ended.
func (c *Container) Wait(t *testing.T) int {
	t.Helper()
	waiting := c.engine.ContainerWait(t.Context(), c.ID, client.ContainerWaitOptions{})
	select {
	case result := <-waiting.Result:
		return int(result.StatusCode)
	case err := <-waiting.Error:
		require.NoError(t, err)
		return -1
	}
}

// Exec runs a command in the container and returns its exit code and output.
func (c *Container) Exec(t *testing.T, command ...string) (int, string) {
	t.Helper()
	created, err := c.engine.ExecCreate(t.Context(), c.ID, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	require.NoError(t, err)
	attached, err := c.engine.ExecAttach(t.Context(), created.ID, client.ExecAttachOptions{})
	require.NoError(t, err)
	defer attached.Close()
	var text bytes.Buffer
	_, err = stdcopy.StdCopy(&text, &text, attached.Reader)
	require.NoError(t, err)
	inspected, err := c.engine.ExecInspect(t.Context(), created.ID, client.ExecInspectOptions{})
	require.NoError(t, err)
	return inspected.ExitCode, strings.TrimSpace(text.String())
}

// remove takes the container away together with the volumes that the image made.
func (c *Container) remove(t *testing.T) {
	_, err := c.engine.ContainerRemove(context.Background(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	require.NoError(t, err)
}
