// Package schemas holds the documents and the event data of Windlass: Go types,
// the embedded JSON Schemas that describe them, and parsing that names line and
// column of every fault. It does no I/O and knows no other room.
package schemas

import "encoding/json"

// APIVersion is the only value of apiVersion that documents may carry.
const APIVersion = "windlass/v1"

// The kinds of document.
const (
	KindInfrastructure = "Infrastructure"
	KindTemplate       = "Template"
)

// ResourceType names what a resource is.
type ResourceType string

// The resource types that can be deployed.
const (
	TypeNetwork       ResourceType = "Network"
	TypeStorage       ResourceType = "Storage"
	TypeCompute       ResourceType = "Compute"
	TypeDatabase      ResourceType = "Database"
	TypeLoadBalancer  ResourceType = "LoadBalancer"
	TypeSecurityGroup ResourceType = "SecurityGroup"
	// TypeKubernetes are objects of the Kubernetes API as they are.
	TypeKubernetes ResourceType = "Kubernetes"
)

// FailurePolicy says where a failed deployment ends.
type FailurePolicy string

const (
	// OnFailureRollback goes back to the last stable revision; with none, what
	// the failed deployment made is removed again. It is the default.
	OnFailureRollback FailurePolicy = "rollback"
	// OnFailurePause waits for a decision: to retry, to skip what failed, or to roll back.
	OnFailurePause FailurePolicy = "pause"
	// OnFailureKeep leaves everything as the failure left it.
	OnFailureKeep FailurePolicy = "keep"
)

// ApprovalRequired is the value of Spec.Approval that has somebody approve every
// plan that changes something before it runs.
const ApprovalRequired = "required"

// DefaultProvider is the provider of a document that names none.
const DefaultProvider = "docker"

// Infrastructure is one named set of resources in one environment: the unit that
// is deployed, locked and destroyed.
type Infrastructure struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names an Infrastructure. Name is a DNS label of at most 63 characters.
type Metadata struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Spec is what an Infrastructure declares.
type Spec struct {
	// Environment is a DNS label such as development, staging or production.
	Environment string `json:"environment"`
	// Region is free text for people; the Docker provider does not use it.
	Region string `json:"region,omitempty"`
	// Provider is the default provider of every resource below.
	Provider string `json:"provider,omitempty"`
	// OnFailure is the failure policy; the default is OnFailureRollback.
	OnFailure FailurePolicy `json:"onFailure,omitempty"`
	// Approval is ApprovalRequired, or empty: a plan then runs at once, unless the
	// worker demands approval for the environment.
	Approval string `json:"approval,omitempty"`
	// Drift says how often reality is held against what is declared; the default is
	// only when somebody asks.
	Drift *Drift `json:"drift,omitempty"`
	// Scaling is that of every Compute that declares neither scaling nor replicas and is
	// no job.
	Scaling *Scaling `json:"scaling,omitempty"`
	// Parameters are allowed in a Template only and gone once it is instantiated.
	Parameters []Parameter `json:"parameters,omitempty"`
	Resources  []Resource  `json:"resources"`
}

// Resource is one thing in an Infrastructure.
type Resource struct {
	// Name is a DNS label, unique in the document.
	Name string       `json:"name"`
	Type ResourceType `json:"type"`
	// Provider overrides the default provider of the document.
	Provider string `json:"provider,omitempty"`
	// DependsOn names resources that must be ready first. References in the
	// properties are dependencies by themselves.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Protect keeps the resource from being deleted or replaced from now on. Taking
	// the line away again changes nothing: an unprotect.requested command does.
	Protect bool `json:"protect,omitempty"`
	// Tags are put on the objects that are made for the resource, as labels whose keys
	// begin with "io.windlass.tag.". A volume keeps those that it was made with.
	Tags map[string]string `json:"tags,omitempty"`
	// Timeouts bound the operations on the resource, retries included.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// Properties is the object of the resource's type: Network, Storage, Compute,
	// Database, LoadBalancer, SecurityGroup or Kubernetes of this package.
	Properties json.RawMessage `json:"properties,omitempty"`
}

// Resource returns the resource of that name, or nil.
func (i *Infrastructure) Resource(name string) *Resource {
	for n := range i.Spec.Resources {
		if i.Spec.Resources[n].Name == name {
			return &i.Spec.Resources[n]
		}
	}
	return nil
}

// Scope says which Infrastructure something belongs to.
type Scope struct {
	Environment    string `json:"environment"`
	Infrastructure string `json:"infrastructure"`
}

// String is "environment/infrastructure", the form people type and read.
func (s Scope) String() string { return s.Environment + "/" + s.Infrastructure }

// Scope returns the scope that the document declares.
func (i *Infrastructure) Scope() Scope {
	return Scope{Environment: i.Spec.Environment, Infrastructure: i.Metadata.Name}
}
