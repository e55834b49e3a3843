package schemas

import (
	"strings"
	"time"

	"windlass/schemas/quantity"
)

// The types of status event. Each is published on a subject that repeats
// environment, infrastructure and the two middle words of the type.
const (
	StatusCommandAccepted      = "io.windlass.command.accepted.v1"
	StatusCommandRejected      = "io.windlass.command.rejected.v1"
	StatusCommandSuperseded    = "io.windlass.command.superseded.v1"
	StatusDeploymentPlanned    = "io.windlass.deployment.planned.v1"
	StatusDeploymentStarted    = "io.windlass.deployment.started.v1"
	StatusDeploymentSucceeded  = "io.windlass.deployment.succeeded.v1"
	StatusDeploymentFailed     = "io.windlass.deployment.failed.v1"
	StatusDeploymentRolledBack = "io.windlass.deployment.rolledback.v1"
	StatusDeploymentCancelled  = "io.windlass.deployment.cancelled.v1"
	StatusDeploymentPaused     = "io.windlass.deployment.paused.v1"
	StatusDeploymentResumed    = "io.windlass.deployment.resumed.v1"
	StatusResourceCreating     = "io.windlass.resource.creating.v1"
	StatusResourceUpdating     = "io.windlass.resource.updating.v1"
	StatusResourceReplacing    = "io.windlass.resource.replacing.v1"
	StatusResourceReady        = "io.windlass.resource.ready.v1"
	StatusResourceDeleting     = "io.windlass.resource.deleting.v1"
	StatusResourceDeleted      = "io.windlass.resource.deleted.v1"
	StatusResourceFailed       = "io.windlass.resource.failed.v1"
	StatusResourceDrifted      = "io.windlass.resource.drifted.v1"
	StatusResourceUnprotected  = "io.windlass.resource.unprotected.v1"
	StatusRolloutStarted       = "io.windlass.rollout.started.v1"
	StatusRolloutProgressed    = "io.windlass.rollout.progressed.v1"
	StatusRolloutPaused        = "io.windlass.rollout.paused.v1"
	StatusRolloutSucceeded     = "io.windlass.rollout.succeeded.v1"
	StatusRolloutFailed        = "io.windlass.rollout.failed.v1"
	StatusRolloutRolledBack    = "io.windlass.rollout.rolledback.v1"
	StatusRolloutCancelled     = "io.windlass.rollout.cancelled.v1"
	StatusContainerCreated     = "io.windlass.container.created.v1"
	StatusContainerStarted     = "io.windlass.container.started.v1"
	StatusContainerHealthy     = "io.windlass.container.healthy.v1"
	StatusContainerUnhealthy   = "io.windlass.container.unhealthy.v1"
	StatusContainerPaused      = "io.windlass.container.paused.v1"
	StatusContainerResumed     = "io.windlass.container.resumed.v1"
	StatusContainerStopped     = "io.windlass.container.stopped.v1"
	StatusContainerExited      = "io.windlass.container.exited.v1"
	StatusContainerRemoved     = "io.windlass.container.removed.v1"
	StatusContainerFailed      = "io.windlass.container.failed.v1"
)

// StatusTypes lists every type of status event.
var StatusTypes = []string{
	StatusCommandAccepted, StatusCommandRejected, StatusCommandSuperseded,
	StatusDeploymentPlanned, StatusDeploymentStarted, StatusDeploymentSucceeded,
	StatusDeploymentFailed, StatusDeploymentRolledBack, StatusDeploymentCancelled,
	StatusDeploymentPaused, StatusDeploymentResumed,
	StatusResourceCreating, StatusResourceUpdating, StatusResourceReplacing, StatusResourceReady,
	StatusResourceDeleting, StatusResourceDeleted, StatusResourceFailed,
	StatusResourceDrifted, StatusResourceUnprotected,
	StatusRolloutStarted, StatusRolloutProgressed, StatusRolloutPaused, StatusRolloutSucceeded,
	StatusRolloutFailed, StatusRolloutRolledBack, StatusRolloutCancelled,
	StatusContainerCreated, StatusContainerStarted, StatusContainerHealthy, StatusContainerUnhealthy,
	StatusContainerPaused, StatusContainerResumed, StatusContainerStopped, StatusContainerExited,
	StatusContainerRemoved, StatusContainerFailed,
}

// CommandStatus is the data of command events.
type CommandStatus struct {
	Scope
	// CommandType is the type of the command's event, empty when it could not be read.
	CommandType string `json:"commandType,omitempty"`
	// Revision is the number that an accepted command was given.
	Revision int `json:"revision,omitempty"`
	// Faults say what is wrong with a rejected command.
	Faults []Fault `json:"faults,omitempty"`
	// SupersededBy is the id of the newer command that made a superseded one
	// needless.
	SupersededBy string `json:"supersededBy,omitempty"`
}

// DeploymentStatus is the data of deployment events.
type DeploymentStatus struct {
	Scope
	Revision int  `json:"revision"`
	Destroy  bool `json:"destroy,omitempty"`
	// Document is the reference of the revision's document in the bucket of
	// revisions, in deployment.started; empty when everything is destroyed.
	Document string `json:"document,omitempty"`
	// Operations are what the plan does, in deployment.planned; operations that
	// change nothing are left out.
	Operations []Operation `json:"operations,omitempty"`
	// Summary stands for the operations where there are too many to list.
	Summary string `json:"summary,omitempty"`
	// Unchanged counts the resources that stay as they are, in deployment.planned.
	Unchanged int `json:"unchanged,omitempty"`
	// Error says why, in deployment.failed, rolledback and cancelled.
	Error *Failure `json:"error,omitempty"`
	// Final says that no further event of this deployment follows: false in a
	// deployment.failed that is followed by a rollback.
	Final bool `json:"final,omitempty"`
	// Decisions are those that a paused deployment waits for, in deployment.paused.
	Decisions []Decision `json:"decisions,omitempty"`
	// Decision is the one that was taken, and By the source of the command that brought
	// it, in deployment.resumed.
	Decision Decision `json:"decision,omitempty"`
	By       string   `json:"by,omitempty"`
	// Partial says that resources were left out that were not among the targets, in
	// deployment.succeeded.
	Partial bool `json:"partial,omitempty"`
	// Skipped names the resources that were left as a failure left them, in
	// deployment.succeeded.
	Skipped []string `json:"skipped,omitempty"`
	// RollbackTo is the revision that a rollback goes to; 0 is nothing at all.
	RollbackTo *int `json:"rollbackTo,omitempty"`
}

// Operation is one step of a plan.
type Operation struct {
	// ID is unique in the plan and names the resource and the action.
	ID       string       `json:"id"`
	Action   Action       `json:"action"`
	Resource string       `json:"resource"`
	Type     ResourceType `json:"type"`
	Provider string       `json:"provider"`
	// DependsOn are ids of operations that must be done first.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Timeout bounds the operation; 0 is without limit.
	Timeout quantity.Duration `json:"timeout,omitempty"`
	// Cause says in words why the operation is there.
	Cause string `json:"cause"`
	// Changes are the fields that an update changes, in the answer to a question
	// for a plan; events and workflows carry the cause alone.
	Changes []Change `json:"changes,omitempty"`
	// Unused are the paths of fields of the declaration that the provider does not use.
	Unused []string `json:"unused,omitempty"`
	// Adopted says that a create takes over what exists already, or that a delete
	// gives it back.
	Adopted bool `json:"adopted,omitempty"`
	// Rollout is the strategy by which the replicas of a Compute move from other versions
	// to the declared one; empty where there is nothing to move.
	Rollout StrategyType `json:"rollout,omitempty"`
	// Supervised says that the provider's place moves those replicas itself.
	Supervised bool `json:"supervised,omitempty"`
	// Protected says that the operation would delete or replace the resource, were
	// that not protected: it leaves it, and only a rollback may run such a plan.
	Protected bool `json:"protected,omitempty"`
}

// Why is the cause as a clause of its own: "it is no longer declared", "replica 0 is
// missing".
func (o Operation) Why() string {
	for _, verb := range []string{"is ", "changes ", "adds ", "removes "} {
		if strings.HasPrefix(o.Cause, verb) {
			return "it " + o.Cause
		}
	}
	return o.Cause
}

// Action is what an operation does to its resource.
type Action string

// The actions.
const (
	ActionCreate Action = "create"
	ActionUpdate Action = "update"
	// ActionReplace makes anew what cannot be changed in place.
	ActionReplace Action = "replace"
	ActionDelete  Action = "delete"
	ActionNone    Action = "none"
	// ActionRetain leaves what is not as declared, since it was made to be retained
	// or is protected.
	ActionRetain Action = "retain"
)

// Moves says whether the action touches anything.
func (a Action) Moves() bool { return a != ActionNone && a != ActionRetain }

// ResourceStatus is the data of resource events.
type ResourceStatus struct {
	Scope
	Revision int          `json:"revision"`
	Resource string       `json:"resource"`
	Type     ResourceType `json:"type"`
	Provider string       `json:"provider"`
	// Cause says why the resource moves, in creating, updating and deleting.
	Cause string `json:"cause,omitempty"`
	// DependsOn names the resources that this one needs.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Outputs are set in resource.ready.
	Outputs Outputs  `json:"outputs,omitempty"`
	Error   *Failure `json:"error,omitempty"`
}

// Failure says why something failed.
type Failure struct {
	// Kind is a word such as NotFound, Conflict, Unhealthy or Unavailable.
	Kind     string `json:"kind"`
	Resource string `json:"resource,omitempty"`
	// Field and Line point into the document, where the failure has a place there.
	Field    string    `json:"field,omitempty"`
	Line     int       `json:"line,omitempty"`
	Message  string    `json:"message"`
	Hint     string    `json:"hint,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Evidence is what was found at a replica that failed.
type Evidence struct {
	Container string `json:"container"`
	// State is the container's state at that moment, such as Exited.
	State string `json:"state,omitempty"`
	// ExitCode is nil while the container runs.
	ExitCode  *int `json:"exitCode,omitempty"`
	OOMKilled bool `json:"oomKilled,omitempty"`
	// Health is the last output of the health check.
	Health string `json:"health,omitempty"`
	// Logs are the last lines, oldest first: at most 20 of at most 500 bytes.
	Logs []string `json:"logs,omitempty"`
}

// Event is a status event before it is encoded. Workflow code fixes all of it.
type Event struct {
	ID     string    `json:"id"`
	Source string    `json:"source"`
	Type   string    `json:"type"`
	Time   time.Time `json:"time"`
	// Subject is the CloudEvents subject: the name of the thing that moved.
	Subject string `json:"subject,omitempty"`
	// Sequence rises in text order per source.
	Sequence string `json:"sequence"`
	// CorrelationID is the deployment's workflow ID.
	CorrelationID string `json:"correlationid,omitempty"`
	// CausationID is the id of the command's event.
	CausationID string `json:"causationid,omitempty"`
	TraceParent string `json:"traceparent,omitempty"`

	Command    *CommandStatus    `json:"command,omitempty"`
	Deployment *DeploymentStatus `json:"deployment,omitempty"`
	Resource   *ResourceStatus   `json:"resource,omitempty"`
	Rollout    *RolloutStatus    `json:"rollout,omitempty"`
	Container  *ContainerStatus  `json:"container,omitempty"`
}

// Scope is what the event is about; false is an event without data.
func (e Event) Scope() (Scope, bool) {
	switch {
	case e.Command != nil:
		return e.Command.Scope, true
	case e.Deployment != nil:
		return e.Deployment.Scope, true
	case e.Resource != nil:
		return e.Resource.Scope, true
	case e.Rollout != nil:
		return e.Rollout.Scope, true
	case e.Container != nil:
		return e.Container.Scope(), true
	}
	return Scope{}, false
}
