// Package plan decides what has to happen: pure functions from what is declared
// and what is observed to a graph of operations. It does no I/O.
package plan

import (
	"encoding/json"
	"time"

	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Target is the identity of one resource.
type Target struct {
	schemas.Scope
	Resource string               `json:"resource"`
	Type     schemas.ResourceType `json:"type"`
	// Provider is the name of the provider that holds the resource.
	Provider string `json:"provider"`
}

// Desired is a resource as it is declared, ready to be applied.
type Desired struct {
	Target
	// Revision is the revision of the Infrastructure that declares it.
	Revision int `json:"revision"`
	// SpecHash is the Hash of Type and Properties; objects carry it as a label.
	SpecHash string `json:"specHash"`
	// DependsOn names the resources that must be ready first.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Protect, Tags and Timeouts are those of the declaration.
	Protect  bool              `json:"protect,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Timeouts schemas.Timeouts  `json:"timeouts,omitzero"`
	// Strategy is how the replicas of a Compute move; nil is the default one. It is no
	// part of Properties.
	Strategy *schemas.Strategy `json:"strategy,omitempty"`
	// ReplaceOn names the properties, such as "driver", whose change cannot be made in
	// place, so that what exists is replaced; AnyProperty stands for all of them.
	ReplaceOn []string `json:"replaceOn,omitempty"`
	// Rolls says that replicas of two versions can be there at once, and that a rollout
	// moves them.
	Rolls bool `json:"rolls,omitempty"`
	// Supervised says that the place moves the replicas itself, and the rollout watches.
	Supervised bool `json:"supervised,omitempty"`
	// Unused are the paths of fields, such as "properties.subnet", that the place does not use.
	Unused []string `json:"unused,omitempty"`
	// Adopts says in words what exists already and is taken over; empty is nothing.
	Adopts string `json:"adopts,omitempty"`
	// Properties have every reference to a resource resolved. Placeholders of
	// secrets are kept: they are replaced inside the activity that needs them.
	Properties json.RawMessage `json:"properties"`
}

// AnyProperty in Desired.ReplaceOn stands for every property.
const AnyProperty = "*"

// RolloutStrategy is how the replicas of a Compute move, with its defaults.
func (d Desired) RolloutStrategy() schemas.Strategy {
	if d.Strategy == nil {
		return schemas.Strategy{}.WithDefaults()
	}
	return d.Strategy.WithDefaults()
}

// Declaration returns the declaration in the form that schemas.Decode reads.
func (d Desired) Declaration() schemas.Resource {
	return schemas.Resource{Name: d.Resource, Type: d.Type, Provider: d.Provider, DependsOn: d.DependsOn, Properties: d.Properties}
}

// State is the condition of an observed resource.
type State string

const (
	// StateReady means that every object of the resource is there and well.
	StateReady State = "ready"
	// StateDegraded means that something is missing, unwell, or of mixed versions.
	StateDegraded State = "degraded"
)

// Observed is a resource as a provider found it by its labels.
type Observed struct {
	Target
	// Revision and SpecHash are those that the objects carry; where they differ
	// among the objects of one resource, SpecHash is empty and State degraded.
	Revision int    `json:"revision"`
	SpecHash string `json:"specHash"`
	// Properties are those of the declaration that made the newest object, empty
	// where the object does not say.
	Properties json.RawMessage `json:"properties,omitempty"`
	DependsOn  []string        `json:"dependsOn,omitempty"`
	State      State           `json:"state"`
	// Reason says in words what is wrong when State is degraded.
	Reason  string          `json:"reason,omitempty"`
	Outputs schemas.Outputs `json:"outputs,omitempty"`
	// Retained says that all that is there is to outlive its declaration.
	Retained bool `json:"retained,omitempty"`
	// Adopted says in words what was taken over, and stays when the resource is deleted.
	Adopted string `json:"adopted,omitempty"`
	// DeleteTimeout bounds the deletion; 0 is without limit.
	DeleteTimeout quantity.Duration `json:"deleteTimeout,omitempty"`
	// Protected says that it may be neither deleted nor replaced.
	Protected bool `json:"protected,omitempty"`
	// Objects are those of a cluster that the resource is made of, by kind and name.
	Objects []schemas.ResourceObject `json:"objects,omitempty"`
	// Replicas are the containers of a Compute or Database, by index and name.
	Replicas []Replica `json:"replicas,omitempty"`
}

// ContainerState is the state of a container as the engine reports it.
type ContainerState string

// The container states.
const (
	ContainerCreated    ContainerState = "Created"
	ContainerRunning    ContainerState = "Running"
	ContainerPaused     ContainerState = "Paused"
	ContainerRestarting ContainerState = "Restarting"
	ContainerStopped    ContainerState = "Stopped"
	ContainerExited     ContainerState = "Exited"
)

// HealthState is what the health check of a replica says.
type HealthState string

// The health states. HealthNone is a replica without a check.
const (
	HealthNone      HealthState = "None"
	HealthStarting  HealthState = "Starting"
	HealthHealthy   HealthState = "Healthy"
	HealthUnhealthy HealthState = "Unhealthy"
)

// Replica is one container of a Compute or a Database.
type Replica struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	// ID is the engine's identifier of the container.
	ID       string `json:"id"`
	Image    string `json:"image"`
	SpecHash string `json:"specHash"`
	// Job says that the replica is to run to its end.
	Job    bool           `json:"job,omitempty"`
	State  ContainerState `json:"state"`
	Health HealthState    `json:"health"`
	// ExitCode is set when State is Stopped or Exited.
	ExitCode  *int      `json:"exitCode,omitempty"`
	Restarts  int       `json:"restarts,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	// Drift tells in words what was changed on it by hand since it was made.
	Drift []string `json:"drift,omitempty"`
	// Address is the IP address in the first network, empty when not running.
	Address string `json:"address,omitempty"`
}
