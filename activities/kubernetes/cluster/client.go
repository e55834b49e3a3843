// Package cluster is a client of the Kubernetes API for objects of any kind: create,
// get, update, apply, delete, list and watch. It tells errors apart as package activities
// does, and knows nothing of resources.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	v1 "k8s.io/client-go/kubernetes/typed/core/v1"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every kind of authentication that a kubeconfig can name
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"windlass/activities"
)

// FieldManager is the name under which the server knows which fields are ours.
const FieldManager = "windlass"

// The defaults of Config.
const (
	DefaultQPS     = 50
	DefaultBurst   = 100
	requestTimeout = 30 * time.Second
)

// Config says which cluster a Client talks to, and how.
type Config struct {
	// Name is that of the provider, in messages.
	Name string
	// Kubeconfig is a file; the default is what KUBECONFIG names, then ~/.kube/config, and
	// where there is neither, the service account of the pod that this runs in.
	Kubeconfig string
	// Context is one of the file's contexts; the default is its current one.
	Context string
	// InCluster takes the service account of the pod whatever files there are.
	InCluster bool
	// QPS and Burst bound the requests per second, watches included. The defaults are
	// DefaultQPS and DefaultBurst.
	QPS   float32
	Burst int
}

// Client talks to the API server of one cluster. It is safe for concurrent use.
type Client struct {
	name       string
	connection *renewing
	objects    dynamic.Interface
	core       v1.CoreV1Interface
	catalogues *catalogues
	limiter    flowcontrol.RateLimiter
	writes     WriteOptions
}

// New returns a client. It contacts nobody: a server that cannot be reached is reported
// by the calls that need it.
func New(c Config) (*Client, error) {
	config, err := configuration(c)
	if err != nil {
		return nil, fmt.Errorf("provider %s: kubeconfig: %w", c.Name, err)
	}
	transport, err := newRenewing(c, config)
	if err != nil {
		return nil, fmt.Errorf("provider %s: kubeconfig: %w", c.Name, err)
	}
	limiter := flowcontrol.NewTokenBucketRateLimiter(cmp.Or(c.QPS, DefaultQPS), cmp.Or(c.Burst, DefaultBurst))
	config.QPS = -1 // requests take their turn before their time begins
	config.WarningHandler = rest.NoWarnings{}
	connection := &http.Client{Transport: transport}
	objects, err := dynamic.NewForConfigAndClient(config, connection)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", c.Name, err)
	}
	core, err := v1.NewForConfigAndClient(config, connection)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", c.Name, err)
	}
	found, err := discovery.NewDiscoveryClientForConfigAndClient(config, connection)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", c.Name, err)
	}
	return &Client{name: c.Name, connection: transport, objects: objects, core: core, catalogues: &catalogues{server: found}, limiter: limiter}, nil
}

func configuration(c Config) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	if c.InCluster || c.Kubeconfig == "" && !anyExists(rules.Precedence) {
		return named(rest.InClusterConfig())
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		err = fmt.Errorf("%s names no cluster; name a file that does", strings.Join(rules.GetLoadingPrecedence(), ", "))
	}
	return named(config, err)
}

// named has requests say who makes them.
func named(config *rest.Config, err error) (*rest.Config, error) {
	if err == nil {
		config.UserAgent = "windlass"
	}
	return config, err
}

func anyExists(files []string) bool {
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}

// begin waits for the turn of a request and bounds the request, and not the waiting, by
// requestTimeout.
func (c *Client) begin(ctx context.Context, doing string) (bounded context.Context, cancel context.CancelFunc, err error) {
	if err := c.turn(ctx, doing); err != nil {
		return nil, nil, err
	}
	bounded, cancel = context.WithTimeout(ctx, requestTimeout)
	return bounded, cancel, nil
}

// turn waits until one more request is within the limit. A turn that would come after the
// deadline of ctx is a *Fault of kind Throttled at once.
func (c *Client) turn(ctx context.Context, doing string) error {
	err := c.limiter.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return &activities.Fault{Kind: activities.Throttled, Message: fmt.Sprintf("%s: provider %q may not make so many requests in that time", doing, c.name),
		Hint: "raise the provider's limits of requests, or do less at a time", Err: err}
}

// Version says what answers, such as "Kubernetes v1.37.2".
func (c *Client) Version(ctx context.Context) (string, error) {
	const doing = "ask the server for its version"
	bounded, cancel, err := c.begin(ctx, doing)
	if err != nil {
		return "", err
	}
	defer cancel()
	version, err := c.catalogues.server.ServerVersionWithContext(bounded)
	if err != nil {
		return "", c.fault(ctx, doing, err)
	}
	return "Kubernetes " + version.GitVersion, nil
}

// mapping finds how the server serves a kind. One that is not known may have been
// installed since the server was asked last.
func (c *Client) mapping(ctx context.Context, kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	mapping, err := find(ctx, c.catalogues, func(known *catalogue) (*meta.RESTMapping, error) {
		return known.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	}, kind.Group)
	if meta.IsNoMatchError(err) {
		return nil, &activities.Fault{Kind: activities.Invalid, Message: fmt.Sprintf("the cluster of provider %q does not serve the kind %s of %s", c.name, kind.Kind, kind.GroupVersion()),
			Hint: "install its custom resource definition, or correct apiVersion and kind", Err: err}
	}
	if err != nil {
		return nil, c.fault(ctx, "ask the server for its kinds", err)
	}
	return mapping, nil
}

// Rediscover has the server asked for its kinds again: something has changed them.
func (c *Client) Rediscover() { c.catalogues.reset() }

// Serves says whether the cluster knows a kind in that version.
func (c *Client) Serves(ctx context.Context, kind schema.GroupVersionKind) (bool, error) {
	_, err := c.mapping(ctx, kind)
	if activities.IsKind(err, activities.Invalid) {
		return false, nil
	}
	return err == nil, err
}

// Namespaced says whether objects of a kind are in namespaces.
func (c *Client) Namespaced(ctx context.Context, kind schema.GroupVersionKind) (bool, error) {
	mapping, err := c.mapping(ctx, kind)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// resource is the part of the API that objects of a kind in a namespace are at.
func (c *Client) resource(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapping(ctx, kind)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.objects.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return c.objects.Resource(mapping.Resource), nil
}
