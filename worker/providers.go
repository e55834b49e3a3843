package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"windlass/activities"
	"windlass/activities/docker"
	"windlass/activities/kubernetes"
	"windlass/schemas"
)

// makers has for every kind of provider how one is made. None of them contacts what
// the provider leads to: one that is down keeps no worker from starting, and is told
// by the calls that need it.
var makers = map[schemas.ProviderKind]func(Config, schemas.Provider) (activities.Provider, error){
	schemas.ProviderDocker:     newDocker,
	schemas.ProviderKubernetes: newKubernetes,
}

// fleet are the providers of a worker.
type fleet struct {
	providers activities.Providers
	kinds     map[string]schemas.ProviderKind
}

// openFleet makes the providers that the configuration names. The fleet must be closed.
func openFleet(c Config) (*fleet, error) {
	declared, err := declaredProviders(c)
	if err != nil {
		return nil, err
	}
	f := &fleet{providers: activities.Providers{}, kinds: map[string]schemas.ProviderKind{}}
	maps.Copy(f.providers, c.Providers)
	for _, d := range declared {
		provider, err := makers[d.Kind](c, d)
		if err != nil {
			if d.Place.Line > 0 {
				err = fmt.Errorf("%s: line %d: %w", c.ProvidersFile, d.Place.Line, err)
			}
			return nil, errors.Join(err, f.close())
		}
		f.providers[d.Name], f.kinds[d.Name] = provider, d.Kind
	}
	return f, nil
}

// declaredProviders are those of the file, or without one the provider "docker" that
// the flags describe.
func declaredProviders(c Config) ([]schemas.Provider, error) {
	engine := schemas.DockerProvider{Host: c.DockerHost, PostgresImage: c.PostgresImage, RedisImage: c.RedisImage, ValkeyImage: c.ValkeyImage}
	if c.ProvidersFile == "" {
		return []schemas.Provider{{Name: schemas.DefaultProvider, Kind: schemas.ProviderDocker, Docker: &engine}}, nil
	}
	if engine != (schemas.DockerProvider{}) {
		return nil, errors.New("a file of providers is given, which alone says which there are: write the address and the images of an engine there, and leave out --docker-host, --postgres-image, --redis-image and --valkey-image")
	}
	text, err := os.ReadFile(c.ProvidersFile)
	if err != nil {
		return nil, fmt.Errorf("providers: %w", err)
	}
	document, err := schemas.ParseProviders(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.ProvidersFile, err)
	}
	return document.Providers, nil
}

// close gives up the connections of the providers. What runs there goes on.
func (f *fleet) close() error {
	var errs []error
	for name := range f.kinds { // those that were given are closed by whoever gave them
		if closer, ok := f.providers[name].(io.Closer); ok {
			errs = append(errs, closer.Close())
		}
	}
	return errors.Join(errs...)
}

// restorer is a provider whose security groups are lost with a start of its host.
type restorer interface {
	RestoreSecurityGroups(ctx context.Context) error
}

// restore closes what has security groups, at each provider as soon as it answers,
// until the context ends.
func (f *fleet) restore(ctx context.Context, c Config) {
	for name, provider := range f.providers {
		if r, ok := provider.(restorer); ok {
			go restoreSecurityGroups(ctx, r.RestoreSecurityGroups, c.Logger.With("provider", name))
		}
	}
}

func newDocker(c Config, declared schemas.Provider) (activities.Provider, error) {
	engine := schemas.DockerProvider{}
	if declared.Docker != nil {
		engine = *declared.Docker
	}
	return docker.New(docker.Config{
		Name: declared.Name, Host: engine.Host, CertPath: c.besideFile(engine.CertPath), Parallelism: engine.Parallelism,
		PostgresImage: engine.PostgresImage, RedisImage: engine.RedisImage, ValkeyImage: engine.ValkeyImage,
		ProxyBinary: c.ProxyBinary, Logger: c.Logger,
	})
}

func newKubernetes(c Config, declared schemas.Provider) (activities.Provider, error) {
	k := schemas.KubernetesProvider{}
	if declared.Kubernetes != nil {
		k = *declared.Kubernetes
	}
	return kubernetes.New(kubernetes.Config{
		Name: declared.Name, Kubeconfig: c.besideFile(k.Kubeconfig), Context: k.Context, InCluster: k.InCluster,
		QPS: k.RequestsPerSecond, Burst: k.Burst,
		GatewayClass: k.GatewayClass, Gateway: k.Gateway, IngressClass: k.IngressClass,
		PostgresImage: k.PostgresImage, RedisImage: k.RedisImage, ValkeyImage: k.ValkeyImage,
		Logger: c.Logger,
	})
}

// besideFile is a path that the file of providers names, from its directory on.
func (c Config) besideFile(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.ProvidersFile), path)
}
