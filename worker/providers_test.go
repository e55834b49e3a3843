package worker

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/docker"
	"windlass/activities/kubernetes/cluster"
	"windlass/schemas"
)

func providersFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// kubeconfig is a file that leads to a server that is not there.
func kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(`apiVersion: v1
kind: Config
clusters: [{name: eu, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: windlass, user: {token: secret}}]
contexts: [{name: eu, context: {cluster: eu, user: windlass}}]
current-context: eu
`), 0o600))
	return path
}

func TestProvidersAreThoseOfTheFileOrTheOneOfTheFlags(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	two := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: near, kind: docker}\n  - {name: far, kind: docker, docker: {host: \"tcp://10.0.0.7:2375\"}}\n")
	for name, test := range map[string]struct {
		config Config
		want   []string
	}{
		"without a file": {Config{DockerHost: "tcp://10.0.0.7:2375", PostgresImage: "postgres:{version}"}, []string{"docker"}},
		"with a file":    {Config{ProvidersFile: two}, []string{"far", "near"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Logger = logger
			f, err := openFleet(test.config)
			require.NoError(t, err)
			require.Equal(t, test.want, slices.Sorted(maps.Keys(f.providers)))
			for _, name := range test.want {
				require.Equal(t, schemas.ProviderDocker, f.kinds[name])
			}
			require.NoError(t, f.close())
		})
	}
}

func TestAClusterThatIsAwayKeepsNoWorkerFromStarting(t *testing.T) {
	config := kubeconfig(t)
	// The path is read from the directory of the file on.
	file := filepath.Join(filepath.Dir(config), "providers.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: prod-eu, kind: kubernetes, kubernetes: {kubeconfig: kubeconfig, context: eu}}\n"), 0o600))
	f, err := openFleet(Config{ProvidersFile: file, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, f.close()) }()
	require.Equal(t, schemas.ProviderKubernetes, f.kinds["prod-eu"])
	require.Implements(t, (*activities.ObjectProvider)(nil), f.providers["prod-eu"])
	d := openDesk(t, f.providers)
	answer, err := ask[schemas.ProvidersAnswer](d, schemas.QueryProviders, "")
	require.NoError(t, err)
	require.Equal(t, "Unavailable", answer.Providers[0].Error.Kind)
	require.Contains(t, answer.Providers[0].Error.Message, "connection refused")
	require.Equal(t, `see whether the API server of provider "prod-eu" runs and can be reached`, answer.Providers[0].Error.Hint)
}

func TestAWrongFileOfProvidersKeepsAWorkerFromStarting(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	wrong := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker}\n  - {name: a, kind: docker}\n")
	noHost := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker}\n  - {name: b, kind: docker, docker: {host: nowhere}}\n")
	noTLS := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker, docker: {host: \"tcp://10.0.0.7:2376\", certPath: certs}}\n")
	good := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders: [{name: a, kind: docker}]\n")
	noCluster := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: prod-eu, kind: kubernetes, kubernetes: {kubeconfig: none}}\n")
	noContext := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: prod-eu, kind: kubernetes, kubernetes: {kubeconfig: "+kubeconfig(t)+", context: us}}\n")
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"no file":                      {Config{ProvidersFile: missing}, "providers: open " + missing + ": no such file or directory"},
		"a fault":                      {Config{ProvidersFile: wrong}, wrong + `: line 5, column 6: providers[1].name: "a" is the name of the provider in line 4 already`},
		"an address that is none":      {Config{ProvidersFile: noHost}, noHost + `: line 5: docker provider b: host "nowhere": unable to parse docker host`},
		"certificates that are none":   {Config{ProvidersFile: noTLS}, noTLS + `: line 4: docker provider a: host "tcp://10.0.0.7:2376": configure TLS: could not read CA certificate "` + filepath.Join(filepath.Dir(noTLS), "certs", "ca.pem") + `"`},
		"a kubeconfig that is none":    {Config{ProvidersFile: noCluster}, noCluster + ": line 4: provider prod-eu: kubeconfig: "},
		"a context that is none":       {Config{ProvidersFile: noContext}, noContext + `: line 4: provider prod-eu: kubeconfig: context "us" does not exist`},
		"an address beside the file":   {Config{ProvidersFile: good, DockerHost: "unix:///run/docker.sock"}, "a file of providers is given, which alone says which there are"},
		"an image beside the file":     {Config{ProvidersFile: good, ValkeyImage: "valkey"}, "leave out --docker-host, --postgres-image, --redis-image and --valkey-image"},
		"an address of the flags only": {Config{DockerHost: "nowhere"}, `docker provider docker: host "nowhere": unable to parse docker host`},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Logger = slog.New(slog.DiscardHandler)
			_, err := openFleet(test.config)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestEveryKindThatAFileMayNameCanBeMade(t *testing.T) {
	var schema struct {
		Properties struct {
			Providers struct {
				Items struct {
					Properties struct {
						Kind struct{ Enum []schemas.ProviderKind }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(schemas.ProvidersSchema, &schema))
	require.ElementsMatch(t, schema.Properties.Providers.Items.Properties.Kind.Enum, slices.Collect(maps.Keys(makers)))
}

// guarded is an engine whose security groups can be restored.
type guarded struct {
	engine
	restored chan string
	name     string
}

func (g *guarded) RestoreSecurityGroups(context.Context) error { g.restored <- g.name; return nil }

func TestSecurityGroupsAreRestoredAtEveryProviderThatHasThem(t *testing.T) {
	restored := make(chan string, 3)
	f := &fleet{providers: activities.Providers{
		"docker": &guarded{restored: restored, name: "docker"}, "edge-1": &guarded{restored: restored, name: "edge-1"}, "other": &engine{},
	}}
	f.restore(t.Context(), Config{Logger: slog.New(slog.DiscardHandler)})
	require.ElementsMatch(t, []string{"docker", "edge-1"}, []string{<-restored, <-restored})
}

func TestTheDefaultsOfTheFileAreThoseOfTheProviders(t *testing.T) {
	type number struct{ Default float64 }
	var schema struct {
		Defs struct {
			Docker     struct{ Properties struct{ Parallelism number } }
			Kubernetes struct {
				Properties struct{ RequestsPerSecond, Burst number }
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(schemas.ProvidersSchema, &schema))
	require.EqualValues(t, docker.DefaultParallelism, schema.Defs.Docker.Properties.Parallelism.Default)
	require.EqualValues(t, cluster.DefaultQPS, schema.Defs.Kubernetes.Properties.RequestsPerSecond.Default)
	require.EqualValues(t, cluster.DefaultBurst, schema.Defs.Kubernetes.Properties.Burst.Default)
}
