package schemas

import (
	"slices"
	"time"
)

// Questions are asked by NATS request on these subjects; the worker answers. The
// request and the answer are JSON. A failing answer has the headers
// Nats-Service-Error and Nats-Service-Error-Code: 404 for an Infrastructure that
// is not known, 400 for a request that cannot be read, 503 when the worker cannot
// reach what it needs.
const (
	QueryService = "windlass"
	// QueryList takes a ListRequest and answers with a ListAnswer.
	QueryList = "windlass.query.list"
	// QueryStatus takes a StatusRequest and answers with a StatusAnswer.
	QueryStatus = "windlass.query.status"
	// QueryPlan takes a PlanRequest and answers with a PlanAnswer; 400 with the
	// faults when the document is invalid. It changes nothing.
	QueryPlan = "windlass.query.plan"
	// QueryRevisions takes a RevisionsRequest and answers with a RevisionsAnswer.
	QueryRevisions = "windlass.query.revisions"
	// QueryRevision takes a RevisionRequest and answers with a RevisionAnswer; 404
	// when the revision is not known or has no document.
	QueryRevision = "windlass.query.revision"
	// QueryDiff takes a DiffRequest and answers with a PlanAnswer: what leads from
	// the document of one revision to that of the other.
	QueryDiff = "windlass.query.diff"
	// QueryDrift takes a DriftRequest and answers with a PlanAnswer: what would take
	// reality back to the last revision that was deployed whole; 404 when there is none.
	QueryDrift = "windlass.query.drift"
	// QueryScopes takes nothing and answers with a ScopesAnswer: what providers hold
	// something of, whatever records say.
	QueryScopes = "windlass.query.scopes"
	// QueryContainers takes a ContainersRequest and answers with a ContainersAnswer.
	QueryContainers = "windlass.query.containers"
	// QueryLogs takes a LogsRequest and answers with a LogsAnswer; 404 for a container
	// that is not known.
	QueryLogs = "windlass.query.logs"
	// QueryProviders takes a ProvidersRequest and answers with a ProvidersAnswer, within
	// a few seconds also where a provider does not answer.
	QueryProviders = "windlass.query.providers"
	// QueryVersion takes nothing and answers with a VersionAnswer.
	QueryVersion = "windlass.query.version"
)

// ListRequest asks for every Infrastructure, or those of one environment.
type ListRequest struct {
	Environment string `json:"environment,omitempty"`
	// Destroyed includes Infrastructures that were destroyed.
	Destroyed bool `json:"destroyed,omitempty"`
}

// ListAnswer is sorted by environment and name.
type ListAnswer struct {
	Infrastructures []InfrastructureRecord `json:"infrastructures"`
}

// StatusRequest asks for one Infrastructure.
type StatusRequest struct {
	Scope
	// Live asks the providers for the replicas and their metrics too, which takes
	// about a second.
	Live bool `json:"live,omitempty"`
}

// StatusAnswer is what is known of one Infrastructure.
type StatusAnswer struct {
	Infrastructure InfrastructureRecord `json:"infrastructure"`
	// Resources are sorted by name.
	Resources []ResourceRecord `json:"resources"`
	// Rollouts are the newest of each Compute, sorted by its name.
	Rollouts []RolloutRecord `json:"rollouts,omitempty"`
	// Replicas are set when the request is live, sorted by resource and name.
	Replicas []ReplicaStatus `json:"replicas,omitempty"`
	// Objects are those of a cluster, set when the request is live, sorted by resource,
	// kind and name.
	Objects []ResourceObject `json:"objects,omitempty"`
	// Unreachable are the providers that hold some of it and did not answer when the
	// request is live, so that their replicas are missing.
	Unreachable []ProviderStatus `json:"unreachable,omitempty"`
}

// ResourceObject is one object of a cluster that a resource is made of, as it is now.
type ResourceObject struct {
	Resource  string `json:"resource"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Ready     bool   `json:"ready"`
	// Message says what it waits for, or what is wrong; may be empty.
	Message string `json:"message,omitempty"`
}

// ReplicaStatus is one container as its engine reports it now.
type ReplicaStatus struct {
	Resource  string    `json:"resource"`
	Name      string    `json:"name"`
	Image     string    `json:"image"`
	State     string    `json:"state"`
	Health    string    `json:"health"`
	ExitCode  *int      `json:"exitCode,omitempty"`
	Restarts  int       `json:"restarts,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	// CPU is in cores; memory and network are in bytes.
	CPU              float64 `json:"cpu"`
	MemoryBytes      int64   `json:"memoryBytes"`
	MemoryLimitBytes int64   `json:"memoryLimitBytes,omitempty"`
	NetworkInBytes   int64   `json:"networkInBytes"`
	NetworkOutBytes  int64   `json:"networkOutBytes"`
}

// PlanRequest asks what a command would do now.
type PlanRequest struct {
	// Document is the text of an Infrastructure or a Template; empty asks for the
	// destruction of the scope.
	Document   string         `json:"document,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
	// Targets are as in DeploymentRequested.
	Targets []string `json:"targets,omitempty"`
	// Scope is what would be destroyed; it is not read when there is a document.
	Scope Scope `json:"scope,omitzero"`
}

// PlanAnswer is what would be done.
type PlanAnswer struct {
	Scope
	// Revision is the newest revision that records know, 0 for none.
	Revision int `json:"revision"`
	// Operations are in an order in which they could run, with those that change
	// nothing.
	Operations []Operation `json:"operations"`
	// Summary counts them: "2 to create, 3 unchanged".
	Summary string `json:"summary"`
	// Fingerprint identifies the operations; see PlanReference.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Moves says whether anything would be changed.
func (p PlanAnswer) Moves() bool {
	return slices.ContainsFunc(p.Operations, func(o Operation) bool { return o.Action.Moves() })
}

// RevisionsRequest asks for the revisions of an Infrastructure.
type RevisionsRequest struct {
	Scope
}

// RevisionsAnswer has the newest revision first.
type RevisionsAnswer struct {
	Revisions []RevisionRecord `json:"revisions"`
}

// RevisionRequest asks for one revision.
type RevisionRequest struct {
	Scope
	Revision int `json:"revision"`
}

// RevisionAnswer is a revision with what was asked for.
type RevisionAnswer struct {
	Record RevisionRecord `json:"record"`
	// Request is the data of the command, document and parameters as they came.
	Request DeploymentRequested `json:"request"`
}

// DiffRequest asks for the difference between two revisions.
type DiffRequest struct {
	Scope
	From int `json:"from"`
	To   int `json:"to"`
}

// DriftRequest asks how reality differs from what was deployed.
type DriftRequest struct {
	Scope
}

// ScopesAnswer is sorted by environment and name.
type ScopesAnswer struct {
	Scopes []Scope `json:"scopes"`
	// Unreachable are the providers that did not answer, so that what only they hold
	// is missing.
	Unreachable []ProviderStatus `json:"unreachable,omitempty"`
}

// ProvidersRequest asks for the providers of the worker.
type ProvidersRequest struct {
	// Names asks none of them how it is: the answer has their names and kinds alone.
	Names bool `json:"names,omitempty"`
}

// ProvidersAnswer is sorted by name.
type ProvidersAnswer struct {
	Providers []ProviderStatus `json:"providers"`
}

// ProviderStatus is how a provider is now.
type ProviderStatus struct {
	Name string       `json:"name"`
	Kind ProviderKind `json:"kind"`
	// Version is what answers there, such as "Docker Engine 20.10.24"; empty where
	// nothing does.
	Version string `json:"version,omitempty"`
	// Error is why nothing answers, with what to do; nil where something does.
	Error *Failure `json:"error,omitempty"`
}

// VersionAnswer names the worker that answers and what it reaches.
type VersionAnswer struct {
	Version string `json:"version"`
	// Providers maps each provider's name to what answers there, or to the reason why nothing does.
	Providers map[string]string `json:"providers"`
}
