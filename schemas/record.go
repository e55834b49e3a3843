package schemas

import "time"

// InfrastructureState is the condition of an Infrastructure.
type InfrastructureState string

// The states of an Infrastructure.
const (
	InfrastructureDeploying InfrastructureState = "deploying"
	// InfrastructurePaused waits for a decision of somebody.
	InfrastructurePaused      InfrastructureState = "paused"
	InfrastructureRollingBack InfrastructureState = "rollingback"
	InfrastructureDestroying  InfrastructureState = "destroying"
	InfrastructureReady       InfrastructureState = "ready"
	InfrastructureRolledBack  InfrastructureState = "rolledback"
	InfrastructureFailed      InfrastructureState = "failed"
	InfrastructureCancelled   InfrastructureState = "cancelled"
	InfrastructureDestroyed   InfrastructureState = "destroyed"
)

// InfrastructureRecord is the last known status of an Infrastructure: a view for
// people, made from status events.
type InfrastructureRecord struct {
	Scope
	State InfrastructureState `json:"state"`
	// Revision is the newest revision, Stable the last one that succeeded (0: none).
	Revision int `json:"revision"`
	Stable   int `json:"stable"`
	// Deployment is the workflow ID of the newest deployment.
	Deployment string    `json:"deployment"`
	Since      time.Time `json:"since"`
	Error      *Failure  `json:"error,omitempty"`
	// Decisions are those that it waits for while it is paused.
	Decisions []Decision `json:"decisions,omitempty"`
	// Sequence is that of the event that wrote the record.
	Sequence string `json:"sequence"`
}

// RevisionRecord is what became of one revision of an Infrastructure.
type RevisionRecord struct {
	Scope
	Revision int  `json:"revision"`
	Destroy  bool `json:"destroy,omitempty"`
	// State is that in which the deployment ended, or that of now.
	State InfrastructureState `json:"state"`
	// Document is the reference of the document in the bucket of revisions.
	Document string `json:"document,omitempty"`
	// Command is the id of the command that asked for it.
	Command string    `json:"command"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Error   *Failure  `json:"error,omitempty"`
	// Sequence is that of the event that wrote the record.
	Sequence string `json:"sequence"`
}

// ProtectionRecord says whether a resource may be deleted or replaced. It is the
// one record that reality cannot tell again in full: labels stay when protection is
// lifted, and were never there where protection came later.
type ProtectionRecord struct {
	Scope
	Resource  string `json:"resource"`
	Protected bool   `json:"protected"`
	// Revision is the one that protected it.
	Revision int `json:"revision,omitempty"`
	// Command is the id of the command that lifted the protection, Reason its reason.
	Command string `json:"command,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// RolloutRecord is the last known status of the newest rollout of a Compute.
type RolloutRecord struct {
	RolloutStatus
	// Workflow is the ID of the workflow that runs it.
	Workflow string    `json:"workflow"`
	Started  time.Time `json:"started"`
	Since    time.Time `json:"since"`
	Sequence string    `json:"sequence"`
}

// ResourceState is the condition of a resource in its record.
type ResourceState string

// The states of a resource.
const (
	ResourceCreating ResourceState = "creating"
	ResourceUpdating ResourceState = "updating"
	// ResourceReplacing is being made anew.
	ResourceReplacing ResourceState = "replacing"
	ResourceReady     ResourceState = "ready"
	ResourceDeleting  ResourceState = "deleting"
	ResourceDeleted   ResourceState = "deleted"
	ResourceFailed    ResourceState = "failed"
	// ResourceDrifted is not as it was deployed any more.
	ResourceDrifted ResourceState = "drifted"
)

// Moving says that an operation on the resource has begun and not ended.
func (s ResourceState) Moving() bool {
	switch s {
	case ResourceCreating, ResourceUpdating, ResourceReplacing, ResourceDeleting:
		return true
	}
	return false
}

// ResourceRecord is the last known status of a resource.
type ResourceRecord struct {
	Scope
	Resource  string        `json:"resource"`
	Type      ResourceType  `json:"type"`
	Provider  string        `json:"provider"`
	State     ResourceState `json:"state"`
	Revision  int           `json:"revision"`
	DependsOn []string      `json:"dependsOn,omitempty"`
	Cause     string        `json:"cause,omitempty"`
	Outputs   Outputs       `json:"outputs,omitempty"`
	Error     *Failure      `json:"error,omitempty"`
	// Protected is filled in where a question is answered.
	Protected bool      `json:"protected,omitempty"`
	Since     time.Time `json:"since"`
	Sequence  string    `json:"sequence"`
}

// ContainerRecord is the last known status of a container.
type ContainerRecord struct {
	ContainerStatus
	// Moved is what happened last, such as healthy, or failed.
	Moved string `json:"moved"`
	// Workflow is the ID of the workflow of its life cycle.
	Workflow string    `json:"workflow"`
	Since    time.Time `json:"since"`
	Sequence string    `json:"sequence"`
}

// Removed says that the container is gone.
func (r ContainerRecord) Removed() bool { return r.Moved == ContainerMove(StatusContainerRemoved) }
