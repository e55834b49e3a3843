package images

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func newEngine(t *testing.T) *client.Client {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	require.NoError(t, err)
	t.Cleanup(func() { engine.Close() })
	return engine
}

// useOwnCache starts with nothing in the cache of this package, and keeps the compiler's cache beside it.
func useOwnCache(t *testing.T) {
	t.Helper()
	compiler, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(compiler)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// ownImage is the users microservice under a name that no other test uses.
func ownImage(t *testing.T, engine *client.Client, reference, version string) Image {
	t.Helper()
	t.Cleanup(func() {
		_, err := engine.ImageRemove(context.Background(), reference, client.ImageRemoveOptions{PruneChildren: true})
		if err != nil {
			require.ErrorContains(t, err, "No such image")
		}
	})
	return Image{Reference: reference, recipe: program{packagePath: "windlass/examples/users", name: "users", version: version}}
}

func TestImageIsBuiltOnceAndAgainAfterAChange(t *testing.T) {
	useOwnCache(t)
	engine := newEngine(t)
	reference := "windlass.local/trial-" + uuid.NewString()[:8] + ":1"
	ensure := func(version string) string {
		var progress bytes.Buffer
		builder, err := NewBuilder(engine, &progress)
		require.NoError(t, err)
		require.NoError(t, builder.Ensure(t.Context(), ownImage(t, engine, reference, version)))
		return progress.String()
	}
	require.Contains(t, ensure("1"), "built")
	require.Empty(t, ensure("1"), "nothing to do, nothing to say")
	require.Contains(t, ensure("2"), "built")

	inspected, err := engine.ImageInspect(t.Context(), reference)
	require.NoError(t, err)
	require.Equal(t, nonRoot, inspected.Config.User)
	require.Equal(t, []string{"/users"}, inspected.Config.Entrypoint)
	require.Len(t, inspected.RootFS.Layers, 1)
}

func TestBuildersAtOnceBuildOnce(t *testing.T) {
	useOwnCache(t)
	engine := newEngine(t)
	reference := "windlass.local/trial-" + uuid.NewString()[:8] + ":1"
	var group errgroup.Group
	outputs := make([]bytes.Buffer, 4)
	for i := range outputs {
		builder, err := NewBuilder(engine, &outputs[i])
		require.NoError(t, err)
		image := ownImage(t, engine, reference, "1")
		group.Go(func() error { return builder.Ensure(t.Context(), image) })
	}
	require.NoError(t, group.Wait())
	built := 0
	for i := range outputs {
		built += strings.Count(outputs[i].String(), "built")
	}
	require.Equal(t, 1, built)
}

func TestSourceThatDoesNotCompileIsNamed(t *testing.T) {
	useOwnCache(t)
	engine := newEngine(t)
	builder, err := NewBuilder(engine, &bytes.Buffer{})
	require.NoError(t, err)
	err = builder.Ensure(t.Context(), Image{Reference: "windlass.local/trial:1", recipe: program{packagePath: "windlass/no/such", name: "x"}})
	require.ErrorContains(t, err, "image windlass.local/trial:1: go build windlass/no/such")
}

func TestPullWithNoRegistryInReachEndsWithAReason(t *testing.T) {
	builder, err := NewBuilder(newEngine(t), &bytes.Buffer{})
	require.NoError(t, err)
	// A port of the loopback address that nothing listens on.
	require.ErrorContains(t, builder.pull(t.Context(), "127.0.0.1:1/postgres:15"), "connection refused")
}

func TestReporterKeepsTheLastLinesForTheError(t *testing.T) {
	var shown bytes.Buffer
	r := newReporter(&shown, "image")
	r.step("begin")
	_, err := r.Write([]byte("I: one\nI: tw"))
	require.NoError(t, err)
	_, err = r.Write([]byte("o\n\n" + strings.Repeat("x\n", keptLines) + "E: last"))
	require.NoError(t, err)
	require.Equal(t, "image:   0s begin\n", shown.String())
	require.Equal(t, strings.Repeat("x\n", keptLines)+"E: last", r.last())
}
