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
	"windlass/schemas"
)

func providersFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
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

func TestAWrongFileOfProvidersKeepsAWorkerFromStarting(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	wrong := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker}\n  - {name: a, kind: docker}\n")
	noHost := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker}\n  - {name: b, kind: docker, docker: {host: nowhere}}\n")
	noTLS := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: docker, docker: {host: \"tcp://10.0.0.7:2376\", certPath: certs}}\n")
	good := providersFile(t, "apiVersion: windlass/v1\nkind: Providers\nproviders: [{name: a, kind: docker}]\n")
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"no file":                      {Config{ProvidersFile: missing}, "providers: open " + missing + ": no such file or directory"},
		"a fault":                      {Config{ProvidersFile: wrong}, wrong + `: line 5, column 6: providers[1].name: "a" is the name of the provider in line 4 already`},
		"an address that is none":      {Config{ProvidersFile: noHost}, noHost + `: line 5: docker provider b: host "nowhere": unable to parse docker host`},
		"certificates that are none":   {Config{ProvidersFile: noTLS}, noTLS + `: line 4: docker provider a: host "tcp://10.0.0.7:2376": configure TLS: could not read CA certificate "` + filepath.Join(filepath.Dir(noTLS), "certs", "ca.pem") + `"`},
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

func TestTheDefaultsOfTheFileAreThoseOfTheProvider(t *testing.T) {
	var schema struct {
		Defs struct {
			Docker struct {
				Properties struct {
					Parallelism struct{ Default int }
				}
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(schemas.ProvidersSchema, &schema))
	require.Equal(t, docker.DefaultParallelism, schema.Defs.Docker.Properties.Parallelism.Default)
}
