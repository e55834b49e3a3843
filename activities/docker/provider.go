// Package docker is the provider for Docker Engine (20.10 and later) and for what
// speaks its API, such as Podman. It keeps no state: every object that it makes
// has a deterministic name and the labels of package activities, and everything
// it knows it reads from the engine. It reads no events and writes no records.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/activities/docker/packetfilter"
	"windlass/plan"
	"windlass/schemas"
)

var _ activities.Provider = (*Provider)(nil)

// Config says which engine a Provider works on, and how.
type Config struct {
	// Name is the provider's name, which documents use and objects carry in a
	// label. It must be set and may not change while objects exist.
	Name string
	// Host is the engine's address, such as unix:///var/run/docker.sock. Empty
	// means DOCKER_HOST (with DOCKER_CERT_PATH and DOCKER_TLS_VERIFY), or the
	// default socket. Health checks over HTTP and TCP go from this process to the
	// containers' addresses, so it must run where those can be reached: as a rule
	// on the engine's host.
	Host string
	// CertPath is a directory with ca.pem, cert.pem and key.pem, with which the engine
	// is reached over TLS. Empty means DOCKER_CERT_PATH, or no TLS.
	CertPath string
	// PostgresImage, RedisImage and ValkeyImage are the images of a Database on
	// these engines, in which {version} stands for the declared version. Other images
	// must keep the contract of the official ones, which are the default.
	PostgresImage string
	RedisImage    string
	ValkeyImage   string
	// ProxyBinary is the windlass-proxy that LoadBalancers run, a static binary for the
	// engine's machine. The default is the file of that name beside this program.
	ProxyBinary string
	// Parallelism bounds how many containers are created and started at the same
	// time. The default is DefaultParallelism.
	Parallelism int
	// Logger gets one line per object that is made or removed. The default discards.
	Logger *slog.Logger
}

// Provider is the Docker provider. It is safe for concurrent use.
type Provider struct {
	name      string
	databases map[string]database.Engine
	// proxyBinary is a path. What is known of the file is proxyFile and its proxyHash.
	proxyBinary string
	proxyMutex  sync.Mutex
	proxyFile   os.FileInfo
	proxyHash   string
	engine      *client.Client
	slots       chan struct{}
	locks       *activities.Locks
	given       *given
	addresses   *fixedAddresses
	filter      *packetfilter.Table
	// bridgeSetting is the file of that name; another one in tests.
	bridgeSetting string
	// endPatience is how long the engine may take to learn of the end of a container whose
	// check has failed because of it. watchInterval is how often a container that is watched
	// is looked at when the engine tells nothing of it: a safety net under the stream of its
	// events. Tests have others.
	endPatience, watchInterval time.Duration
	logger                     *slog.Logger
}

// New returns a provider that must be closed. It does not contact the engine: one
// that is down is reported by the calls that need it.
func New(c Config) (*Provider, error) {
	if c.Name == "" {
		return nil, errors.New("docker provider: name is empty")
	}
	if c.Parallelism <= 0 {
		c.Parallelism = DefaultParallelism
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	options := []client.Opt{client.FromEnv}
	if strings.HasPrefix(c.Host, "unix:") {
		// A socket has no TLS, whatever the environment says of another engine.
		options = []client.Opt{client.WithAPIVersionFromEnv()}
	}
	if c.CertPath != "" {
		file := func(name string) string { return filepath.Join(c.CertPath, name) }
		options = append(options, client.WithTLSClientConfig(file("ca.pem"), file("cert.pem"), file("key.pem")))
	}
	if c.Host != "" {
		options = append(options, client.WithHost(c.Host))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("docker provider %s: host %q: %w", c.Name, c.Host, err)
	}
	return &Provider{
		name:          c.Name,
		databases:     database.Engines(database.Images{Postgres: c.PostgresImage, Redis: c.RedisImage, Valkey: c.ValkeyImage}),
		proxyBinary:   cmp.Or(c.ProxyBinary, besideProgram("windlass-proxy")),
		engine:        engine,
		slots:         make(chan struct{}, c.Parallelism),
		locks:         activities.NewLocks(),
		given:         newGiven(),
		addresses:     newFixedAddresses(),
		filter:        packetfilter.New(c.Name),
		bridgeSetting: bridgeSetting,
		endPatience:   time.Second,
		watchInterval: 10 * time.Second,
		logger:        c.Logger.With("provider", c.Name),
	}, nil
}

// besideProgram is the path of a file beside the program that runs; of the working
// directory when that is not known.
func besideProgram(name string) string {
	program, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(program), name)
}

// Close gives up the connections to the engine. What runs there goes on.
func (p *Provider) Close() error { return p.engine.Close() }

// Version implements activities.Provider.
func (p *Provider) Version(ctx context.Context) (string, error) {
	v, err := read(ctx, func(ctx context.Context) (client.ServerVersionResult, error) {
		return p.engine.ServerVersion(ctx, client.ServerVersionOptions{})
	})
	if err != nil {
		return "", engineFault(ctx, "", "ask the engine for its version", err)
	}
	for _, component := range v.Components {
		if strings.HasPrefix(component.Name, "Podman") {
			return "Podman " + component.Version, nil
		}
	}
	return "Docker Engine " + v.Version, nil
}

// Apply implements activities.Provider.
func (p *Provider) Apply(ctx context.Context, desired plan.Desired, secrets activities.Secrets, progress activities.Progress) (schemas.Outputs, error) {
	if err := p.mine(desired.Target); err != nil {
		return nil, err
	}
	say, stop := activities.Narrate(progress)
	defer stop()
	unlock, err := p.locks.Lock(ctx, desired.Target, say)
	if err != nil {
		return nil, err
	}
	defer unlock()

	outputs, err := p.Outputs(desired)
	if err != nil {
		return nil, err
	}
	switch desired.Type {
	case schemas.TypeNetwork:
		err = p.applyNetwork(ctx, desired, outputs, say)
	case schemas.TypeStorage:
		err = p.applyStorage(ctx, desired, outputs, say)
	case schemas.TypeCompute:
		err = p.applyCompute(ctx, desired, outputs, secrets, say)
	case schemas.TypeDatabase:
		err = p.applyDatabase(ctx, desired, outputs, secrets, say)
	case schemas.TypeLoadBalancer:
		err = p.applyLoadBalancer(ctx, desired, outputs, secrets, say)
	case schemas.TypeSecurityGroup:
		err = p.applySecurityGroup(ctx, desired, outputs, say)
	}
	if err != nil {
		return nil, err
	}
	return outputs, nil
}

// mine refuses a target of another provider: its labels would make objects that
// this provider could not find again.
func (p *Provider) mine(t plan.Target) error {
	if t.Provider == p.name {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: t.Resource,
		Message: fmt.Sprintf("belongs to provider %q, but this is provider %q", t.Provider, p.name)}
}
