package kubernetes

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNothingIsLeftOfAnEnclosure runs once more in one, where it has a process in the control groups and never ends.
func TestNothingIsLeftOfAnEnclosure(t *testing.T) {
	if dir, inside := Enclosed(); inside {
		beAtHome(t, dir)
		return
	}
	obstacle, err := Obstacle(t.Context())
	require.NoError(t, err)
	if obstacle != nil {
		t.Logf("not run: %v", obstacle)
		return
	}
	e, err := NewEnclosure(t.Context(), os.Stderr)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- e.Run(ctx, io.Discard, "-test.run=^"+t.Name()+"$") }()
	require.Eventually(t, func() bool { return exists(filepath.Join(e.Dir(), "at-home")) }, time.Minute, 10*time.Millisecond)
	groups, err := controlGroupPaths(filepath.Base(e.Dir()))
	require.NoError(t, err)
	require.NotEmpty(t, groups)
	for _, group := range groups {
		require.DirExists(t, group)
	}
	require.NoDirExists(t, "/var/lib/windlass-test", "a mount inside is seen outside")

	cancel()
	require.Error(t, <-ended)
	require.NoError(t, e.Close())
	require.NoDirExists(t, e.Dir())
	for _, group := range groups {
		require.NoDirExists(t, group)
	}
}

func beAtHome(t *testing.T, dir string) {
	require.NoError(t, furnish())
	require.NoError(t, os.Mkdir("/var/lib/windlass-test", 0o755))
	child := exec.Command("sleep", "1000")
	require.NoError(t, child.Start())
	groups, err := controlGroupPaths(filepath.Base(dir))
	require.NoError(t, err)
	for _, group := range groups {
		nested := filepath.Join(group, "nested")
		require.NoError(t, os.Mkdir(nested, 0o755))
		// A new cpuset has no processors, so that nothing can be in it.
		if filepath.Base(filepath.Dir(group)) != "cpuset" {
			require.NoError(t, os.WriteFile(filepath.Join(nested, "cgroup.procs"), []byte(strconv.Itoa(child.Process.Pid)), 0o600))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "at-home"), nil, 0o600))
	require.NoError(t, child.Wait())
}
