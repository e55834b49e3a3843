package kubernetes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuildOnceIsEnough(t *testing.T) {
	first, err := Build(t.Context(), os.Stderr)
	require.NoError(t, err)
	for _, p := range controlPlane.programs {
		require.FileExists(t, filepath.Join(first, p.name))
	}
	var progress bytes.Buffer
	second, err := Build(t.Context(), &progress)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Empty(t, progress.String())
}

func TestBuildSaysWhatTheCompilerSaid(t *testing.T) {
	var progress bytes.Buffer
	compiled := strings.Repeat("k8s.io/api/core/v1\n", 2*reportPackages+1)
	other := follow(strings.NewReader(compiled+"# k8s.io/broken\nbroken.go:1:2: syntax error\n"), &progress)
	require.Equal(t, "# k8s.io/broken\nbroken.go:1:2: syntax error\n", other)
	require.Equal(t, "  100 packages compiled after 0s\n  200 packages compiled after 0s\n", progress.String())
}

func TestTheToolsModulesHaveTheVersionsThatTheProgramsSay(t *testing.T) {
	for _, s := range []toolset{controlPlane, nodeTools, containerTools} {
		content, err := os.ReadFile(filepath.Join("../..", s.dir, "go.mod"))
		require.NoError(t, err)
		require.NotContains(t, string(content), "./staging")
		if s.dir == kubernetesDir {
			require.Contains(t, string(content), "k8s.io/kubernetes v"+Version+" ")
		}
		for _, p := range s.programs {
			require.Contains(t, string(content), "\t"+p.packagePath+"\n", "the tool directive that keeps the sums of %s", p.name)
		}
	}
}

func TestTheNameOfABinaryIsNoMajorVersion(t *testing.T) {
	require.Equal(t, "server", binaryName("go.etcd.io/etcd/server/v3"))
	require.Equal(t, "kwok", binaryName("sigs.k8s.io/kwok/cmd/kwok"))
}
