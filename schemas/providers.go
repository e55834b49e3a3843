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
	Name   string          `json:"name"`
	Kind   ProviderKind    `json:"kind"`
	Docker *DockerProvider `json:"docker,omitempty"`
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
	if d := p.Docker; d != nil && d.CertPath != "" && strings.HasPrefix(d.Host, "unix:") {
		faults = append(faults, tree.Fault(path+".docker.certPath", "has no meaning with a socket of this machine as host; leave it out"))
	}
	return faults
}
