package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
)

// KindProviders is the kind of the document that says which providers a worker has.
const KindProviders = "Providers"

// ProviderKind is what answers at a provider.
type ProviderKind string

// The kinds of providers.
const (
	// ProviderDocker is Docker Engine, or what speaks its API.
	ProviderDocker ProviderKind = "docker"
	// ProviderKubernetes is a Kubernetes cluster.
	ProviderKubernetes ProviderKind = "kubernetes"
)

// Providers is a document: the providers of a worker. All workers of one installation
// need the same, since any of them may serve any command.
type Providers struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Providers  []Provider `json:"providers"`
}

// Provider is one engine or cluster. Only the object of its kind is set, and that may
// be nil, which leaves all to the defaults.
type Provider struct {
	// Name is a DNS label, unique in the document.
	Name       string              `json:"name"`
	Kind       ProviderKind        `json:"kind"`
	Docker     *DockerProvider     `json:"docker,omitempty"`
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`
	// Place is where the provider stands in the text.
	Place Place `json:"-"`
}

// DockerProvider is how to reach an engine, and the limits there.
type DockerProvider struct {
	// Host is the address of the engine; empty means DOCKER_HOST, or the local socket.
	Host string `json:"host,omitempty"`
	// CertPath is a directory with ca.pem, cert.pem and key.pem; empty means
	// DOCKER_CERT_PATH, or no TLS.
	CertPath string `json:"certPath,omitempty"`
	// Parallelism bounds how many containers are created and started at a time; 0 is
	// the default of 4.
	Parallelism int `json:"parallelism,omitempty"`
	// PostgresImage, RedisImage and ValkeyImage are the images of Databases, in which
	// {version} stands for the declared version; empty means the official ones.
	PostgresImage string `json:"postgresImage,omitempty"`
	RedisImage    string `json:"redisImage,omitempty"`
	ValkeyImage   string `json:"valkeyImage,omitempty"`
}

// KubernetesProvider is how to reach a cluster, and the limits there.
type KubernetesProvider struct {
	// Kubeconfig is a file, Context one of its contexts; empty are the ones that kubectl
	// would take, or where there is no file the service account of the worker's pod.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	// InCluster takes that service account whatever files there are.
	InCluster bool `json:"inCluster,omitempty"`
	// RequestsPerSecond and Burst bound what a worker asks of the API server; 0 are the
	// defaults of 50 and 100.
	RequestsPerSecond float32 `json:"requestsPerSecond,omitempty"`
	Burst             int     `json:"burst,omitempty"`
	// GatewayClass is that of a Gateway for each LoadBalancer, Gateway one that all of them
	// share, as namespace/name; at most one of them is set. IngressClass is that of the
	// Ingress that they make otherwise.
	GatewayClass string `json:"gatewayClass,omitempty"`
	Gateway      string `json:"gateway,omitempty"`
	IngressClass string `json:"ingressClass,omitempty"`
	// PostgresImage, RedisImage and ValkeyImage are as in DockerProvider.
	PostgresImage string `json:"postgresImage,omitempty"`
	RedisImage    string `json:"redisImage,omitempty"`
	ValkeyImage   string `json:"valkeyImage,omitempty"`
}

// ParseProviders reads the YAML or JSON text of Providers. The error is of type Faults.
func ParseProviders(text []byte) (*Providers, error) {
	tree, err := ParseTree(text)
	if err != nil {
		return nil, err
	}
	if err := tree.check("windlass:providers"); err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(tree.Value)
	if err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	var document Providers
	if err := json.Unmarshal(canonical, &document); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	first := map[string]Place{}
	var faults Faults
	for i := range document.Providers {
		p, path := &document.Providers[i], elementPath("providers", i)
		p.Place = tree.Place(path)
		if place, twice := first[p.Name]; twice {
			faults = append(faults, tree.Fault(memberPath(path, "name"), fmt.Sprintf("%q is the name of the provider in line %d already", p.Name, place.Line)))
		} else {
			first[p.Name] = p.Place
		}
		faults = append(faults, p.faults(tree, path)...)
	}
	if len(faults) > 0 {
		sortFaults(faults)
		return nil, faults
	}
	return &document, nil
}

// faults are what a schema cannot say of a provider.
func (p *Provider) faults(tree *Tree, path string) Faults {
	var faults Faults
	fault := func(member, reason string) { faults = append(faults, tree.Fault(memberPath(path, member), reason)) }
	const meaningless = "has no meaning with kind %s; leave it out, or correct the kind"
	if d := p.Docker; d != nil {
		switch {
		case p.Kind != ProviderDocker:
			fault("docker", fmt.Sprintf(meaningless, p.Kind))
		case d.CertPath != "" && strings.HasPrefix(d.Host, "unix:"):
			fault("docker.certPath", "has no meaning with a socket of this machine as host; leave it out")
		}
	}
	if k := p.Kubernetes; k != nil {
		switch {
		case p.Kind != ProviderKubernetes:
			fault("kubernetes", fmt.Sprintf(meaningless, p.Kind))
		case k.InCluster && k.Kubeconfig != "":
			fault("kubernetes.kubeconfig", "has no meaning with inCluster, which takes the service account of the pod; leave one of them out")
		case k.InCluster && k.Context != "":
			fault("kubernetes.context", "has no meaning with inCluster, which takes the service account of the pod; leave one of them out")
		}
		if k.Gateway != "" && k.GatewayClass != "" {
			fault("kubernetes.gateway", "is shared by all LoadBalancers, and gatewayClass has each make one of its own; leave one of them out")
		}
	}
	return faults
}
