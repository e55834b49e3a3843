package schemas

import (
	"encoding/json"
	"fmt"

	"windlass/schemas/quantity"
)

// Network is a private network of one engine, on which resources find each other by name.
type Network struct {
	// Adopt is the name of a network that exists and is taken over. It is given back,
	// not removed, when the resource is deleted. Subnet and Internal, where they are
	// declared, have to be those that it has, and it gets no Labels.
	Adopt string `json:"adopt,omitempty"`
	// Subnet is a CIDR; the default is one that the engine picks.
	Subnet string `json:"subnet,omitempty"`
	// Internal cuts the network off from the world outside the host.
	Internal bool `json:"internal,omitempty"`
	// Labels are put on the engine's object.
	Labels map[string]string `json:"labels,omitempty"`
}

// Storage is a volume that outlives the containers that mount it.
type Storage struct {
	// Adopt is the name of a volume that exists and is taken over, and nothing else is
	// declared then. It is given back, with its data, when the resource is deleted.
	Adopt string `json:"adopt,omitempty"`
	// Size bounds the data, where the engine can: with the driver local on a file
	// system with project quotas, such as xfs mounted with pquota, or in memory
	// (options type: tmpfs, device: tmpfs). The default is without a bound.
	Size quantity.Memory `json:"size,omitempty"`
	// Driver is the engine's volume driver; the default is "local".
	Driver string `json:"driver,omitempty"`
	// Options are given to the driver. Those of local are the options of mount(8): type,
	// device, and o for the rest, separated by commas.
	Options map[string]string `json:"options,omitempty"`
	// Labels are put on the engine's object.
	Labels map[string]string `json:"labels,omitempty"`
	// Retention is what becomes of the data when the Storage is not declared any
	// more; the default is RetentionDelete. It is fixed when the volume is made.
	Retention Retention `json:"retention,omitempty"`
}

// Retention is what becomes of data when its resource is not declared any more.
type Retention string

// The retentions.
const (
	RetentionDelete Retention = "delete"
	// RetentionRetain keeps the volume through destruction, rollback and removal
	// from the document; declared again, it is found and used again.
	RetentionRetain Retention = "retain"
)

// Database is a database server with one database and one user in it. Its data
// lies on a volume of its own.
type Database struct {
	// Engine is postgres, redis or valkey.
	Engine string `json:"engine"`
	// Version is the major version, such as "15", or with the minor one, such as "15.4".
	Version string `json:"version"`
	// Name is the database's name; the default is the resource's name with "_" for
	// "-". Only PostgreSQL has names: on redis and valkey it is refused.
	Name string `json:"name,omitempty"`
	// User owns the database; the default is the database's name. On redis and valkey
	// it is refused: their user is "default".
	User string `json:"user,omitempty"`
	// Networks are as in Compute.
	Networks []string `json:"networks,omitempty"`
	// SecurityGroups are as in Compute.
	SecurityGroups []string     `json:"securityGroups,omitempty"`
	Resources      Requirements `json:"resources,omitzero"`
	// Size, Driver and Retention are as in Storage, of the volume with the data.
	Size      quantity.Memory `json:"size,omitempty"`
	Driver    string          `json:"driver,omitempty"`
	Retention Retention       `json:"retention,omitempty"`
	// StartPeriod is how long the server has until it must accept queries; the default is 60s.
	StartPeriod *quantity.Duration `json:"startPeriod,omitempty"`
	// StopGracePeriod lies between the stop signal and SIGKILL; the default is 30s.
	StopGracePeriod *quantity.Duration `json:"stopGracePeriod,omitempty"`
	// PullPolicy and RegistryCredentials are as in Compute.
	PullPolicy          PullPolicy           `json:"pullPolicy,omitempty"`
	RegistryCredentials *RegistryCredentials `json:"registryCredentials,omitempty"`
}

// Data is the volume with the data, as a Storage would declare it.
func (d Database) Data() Storage {
	return Storage{Size: d.Size, Driver: d.Driver, Retention: d.Retention}
}

// The values of Database.Engine.
const (
	EnginePostgres = "postgres"
	EngineRedis    = "redis"
	EngineValkey   = "valkey"
)

// Decode reads the properties of a resource into the struct of its type. The
// properties of a document that was parsed by this package always decode; a
// failure names the resource.
func Decode[T Network | Storage | Compute | Database | LoadBalancer | SecurityGroup | Kubernetes](r Resource) (T, error) {
	var v T
	if len(r.Properties) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(r.Properties, &v); err != nil {
		return v, fmt.Errorf("properties of %s %q: %w", r.Type, r.Name, err)
	}
	return v, nil
}
