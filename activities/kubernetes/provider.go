// Package kubernetes is the provider for Kubernetes clusters. It keeps no state: every
// object that it makes has a deterministic name and the labels of package manifest, and
// everything it knows it reads from the API server. Objects are made by server-side
// apply, so that what a server or another controller fills in is theirs; replicas are
// run and exchanged by the cluster's own controllers.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

var (
	_ activities.Provider          = (*Provider)(nil)
	_ activities.PlacingProvider   = (*Provider)(nil)
	_ activities.SelectiveProvider = (*Provider)(nil)
)

// Config says which cluster a Provider works on, and how.
type Config struct {
	// Name is the provider's name, which documents use and objects carry in a label. It
	// must be set and may not change while objects exist.
	Name string
	// Kubeconfig is a file, Context one of its contexts; empty are the ones that kubectl
	// would take. InCluster takes the service account of the pod that this runs in.
	Kubeconfig string
	Context    string
	InCluster  bool
	// QPS and Burst bound the requests per second; 0 is the default of package cluster.
	QPS   float32
	Burst int
	// PostgresImage, RedisImage and ValkeyImage are the images of a Database on these
	// engines, in which {version} stands for the declared version; empty are the official
	// ones.
	PostgresImage string
	RedisImage    string
	ValkeyImage   string
	// GatewayClass has each LoadBalancer make a Gateway of that class. Gateway, as
	// namespace/name, is one that exists and that all of them share instead. With neither,
	// or where the cluster has no Gateway API, a LoadBalancer makes an Ingress of
	// IngressClass; empty is the cluster's default class.
	GatewayClass string
	Gateway      string
	IngressClass string
	// Logger gets one line per object that is made or removed. The default discards.
	Logger *slog.Logger
}

// Provider is the Kubernetes provider. It is safe for concurrent use.
type Provider struct {
	name    string
	client  *cluster.Client
	options manifest.Options
	locks   *activities.Locks
	logger  *slog.Logger
	// stuckAfter is defaultStuckAfter, but for tests that wait for it.
	stuckAfter time.Duration
	// routeless says that the cluster did not serve the Gateway API when it was last seen.
	routeless atomic.Bool
}

// New returns a provider. It does not contact the cluster: one that cannot be reached is
// reported by the calls that need it.
func New(c Config) (*Provider, error) {
	if c.Name == "" {
		return nil, errors.New("kubernetes provider: name is empty")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := cluster.New(cluster.Config{
		Name: c.Name, Kubeconfig: c.Kubeconfig, Context: c.Context, InCluster: c.InCluster, QPS: c.QPS, Burst: c.Burst,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{
		name: c.Name, client: client, locks: activities.NewLocks(), logger: c.Logger.With("provider", c.Name), stuckAfter: defaultStuckAfter,
		options: manifest.Options{
			GatewayClass: c.GatewayClass, Gateway: c.Gateway, IngressClass: c.IngressClass,
			PostgresImage: c.PostgresImage, RedisImage: c.RedisImage, ValkeyImage: c.ValkeyImage,
		},
	}, nil
}

// Version implements activities.Provider.
func (p *Provider) Version(ctx context.Context) (string, error) { return p.client.Version(ctx) }

// ReplaceOn implements activities.Provider. A claim of a volume cannot change its class,
// and none can move to another namespace.
func (p *Provider) ReplaceOn(kind schemas.ResourceType) []string {
	switch kind {
	case schemas.TypeStorage:
		return []string{"driver", "adopt", activities.PropertyNetworks}
	case schemas.TypeNetwork:
		return []string{"adopt"}
	}
	return nil
}

// PlacedByUse implements activities.PlacingProvider: a pod mounts volumes of its own
// namespace only, and a NetworkPolicy is about pods of its own.
func (p *Provider) PlacedByUse(kind schemas.ResourceType) bool {
	return kind == schemas.TypeStorage || kind == schemas.TypeSecurityGroup
}

// Outputs implements activities.Provider.
func (p *Provider) Outputs(declared plan.Desired) (schemas.Outputs, error) {
	// Whether the cluster serves the Gateway API, only asking it would tell.
	options := p.options
	options.GatewayAPI = true
	if err := manifest.Check(declared, options); err != nil {
		return nil, err
	}
	return manifest.Outputs(declared)
}

// Unused implements activities.SelectiveProvider.
func (p *Provider) Unused(declared plan.Desired) []string {
	return manifest.Unused(declared, p.options)
}

// Images implements activities.Provider: the kubelet of each node pulls for itself.
func (p *Provider) Images(plan.Desired) ([]activities.Image, error) { return nil, nil }

// Pull implements activities.Provider; nothing asks for it, since Images names none.
func (p *Provider) Pull(context.Context, activities.Image, activities.Secrets, activities.Progress) error {
	return nil
}

// mine refuses targets of another provider.
func (p *Provider) mine(t plan.Target) error {
	if t.Provider == p.name {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: t.Resource,
		Message: fmt.Sprintf("belongs to provider %q, but this is provider %q", t.Provider, p.name)}
}

// offered are the options with what the cluster offers now.
func (p *Provider) offered(ctx context.Context) (manifest.Options, error) {
	options := p.options
	if options.Gateway == "" && options.GatewayClass == "" {
		return options, nil
	}
	var err error
	options.GatewayAPI, err = p.client.Serves(ctx, kindHTTPRoute)
	return options, err
}
