package schemas

import (
	"encoding/json"
	"fmt"
	"time"

	"windlass/schemas/quantity"
)

// KindContainer is the kind of a document that declares a single container.
const KindContainer = "Container"

// ContainersName takes the place of an Infrastructure's name on what is made for
// single containers. No document can have that name.
const ContainersName = "_containers"

// Container is a document: a single container with a life of its own.
type Container struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Metadata   Metadata      `json:"metadata"`
	Spec       ContainerSpec `json:"spec"`
}

// ContainerSpec is what a Container declares.
type ContainerSpec struct {
	Environment string `json:"environment"`
	ContainerPolicy
	Tags map[string]string `json:"tags,omitempty"`
	// Properties are those of a Compute without replicas and strategy.
	Properties json.RawMessage `json:"properties"`
}

// ContainerPolicy says where a container runs, and what is done when it fails its
// health check.
type ContainerPolicy struct {
	// Provider is DefaultProvider when it is empty.
	Provider        string          `json:"provider,omitempty"`
	UnhealthyPolicy UnhealthyPolicy `json:"unhealthyPolicy,omitempty"`
	RestartBackoff  RestartBackoff  `json:"restartBackoff,omitzero"`
}

// UnhealthyPolicy is what is done with a container that fails its health check.
type UnhealthyPolicy string

// The unhealthy policies. UnhealthyRestart is the default.
const (
	UnhealthyNone    UnhealthyPolicy = "none"
	UnhealthyRestart UnhealthyPolicy = "restart"
	UnhealthyReplace UnhealthyPolicy = "replace"
	UnhealthyStop    UnhealthyPolicy = "stop"
)

// RestartBackoff says how soon a container is restarted or replaced again: the first
// time at once, then after Initial (default 1s), which doubles up to Max (1m). It
// begins again after the container was healthy for Reset (5m).
type RestartBackoff struct {
	Initial quantity.Duration `json:"initial,omitzero"`
	Max     quantity.Duration `json:"max,omitzero"`
	Reset   quantity.Duration `json:"reset,omitzero"`
}

// WithDefaults returns a copy in which every field has its value.
func (p ContainerPolicy) WithDefaults() ContainerPolicy {
	if p.Provider == "" {
		p.Provider = DefaultProvider
	}
	if p.UnhealthyPolicy == "" {
		p.UnhealthyPolicy = UnhealthyRestart
	}
	for _, given := range []struct {
		field    *quantity.Duration
		standard time.Duration
	}{{&p.RestartBackoff.Initial, time.Second}, {&p.RestartBackoff.Max, time.Minute}, {&p.RestartBackoff.Reset, 5 * time.Minute}} {
		if *given.field == 0 {
			*given.field = quantity.Duration(given.standard)
		}
	}
	return p
}

// Delay is how long to wait after that many restarts in a row.
func (b RestartBackoff) Delay(restarts int) time.Duration {
	if restarts == 0 {
		return 0
	}
	delay := time.Duration(b.Initial)
	for range restarts - 1 {
		if delay >= time.Duration(b.Max)/2 {
			return time.Duration(b.Max)
		}
		delay *= 2
	}
	return min(delay, time.Duration(b.Max))
}

// ParseContainer reads the YAML or JSON text of a Container. The error is of type Faults.
func ParseContainer(text []byte) (*Container, error) {
	tree, err := ParseTree(text)
	if err != nil {
		return nil, err
	}
	declared, _, err := tree.container()
	return declared, err
}

// container reads a Container, and the resource that it is to a provider: the one
// Compute of an Infrastructure that nobody else can have.
func (t *Tree) container() (*Container, *Infrastructure, error) {
	if err := t.check("windlass:container"); err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(t.Value)
	if err != nil {
		return nil, nil, fmt.Errorf("document: %w", err)
	}
	var c Container
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, nil, fmt.Errorf("document: %w", err)
	}
	c.Spec.ContainerPolicy = c.Spec.ContainerPolicy.WithDefaults()
	// Its only resource stands where the spec stands in the text.
	t.origins = []string{"spec"}
	document := c.infrastructure()
	faults := t.validate(document)
	var single struct {
		Replicas, Strategy any
	}
	if err := json.Unmarshal(c.Spec.Properties, &single); err != nil {
		return nil, nil, fmt.Errorf("document: %w", err)
	}
	if single.Replicas != nil {
		faults = append(faults, t.Fault("spec.properties.replicas", "a Container is one container; deploy a Compute for several"))
	}
	if single.Strategy != nil {
		faults = append(faults, t.Fault("spec.properties.strategy", "has no meaning for a Container, which is one container; leave it out"))
	}
	if b := c.Spec.RestartBackoff; b.Initial > b.Max {
		faults = append(faults, t.Fault("spec.restartBackoff.initial", fmt.Sprintf("%s is longer than max, %s", time.Duration(b.Initial), time.Duration(b.Max))))
	}
	if len(faults) > 0 {
		sortFaults(faults)
		return nil, nil, faults
	}
	return &c, document, nil
}

func (c *Container) infrastructure() *Infrastructure {
	return &Infrastructure{
		APIVersion: APIVersion, Kind: KindInfrastructure, Metadata: Metadata{Name: ContainersName},
		Spec: Spec{
			Environment: c.Spec.Environment, Provider: c.Spec.Provider,
			Resources: []Resource{{
				Name: c.Metadata.Name, Type: TypeCompute, Provider: c.Spec.Provider, Tags: c.Spec.Tags, Properties: c.Spec.Properties,
			}},
		},
	}
}
