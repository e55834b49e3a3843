// Package workflows holds the Temporal workflows: deterministic code that decides
// what runs when. Every side effect is an activity of the activities room, which
// is called by name; this package never links a provider.
package workflows

import (
	"fmt"
	"time"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// The names of workflows and signals in Temporal. They are given at registration,
// so that renaming a Go function renames nothing in histories.
const (
	NameInfrastructure = "Infrastructure"
	NameDeploy         = "Deploy"
	NameDrift          = "Drift"
	NameRollout        = "Rollout"
	NameContainer      = "ContainerLifecycle"
	SignalCommand      = "command"
	SignalDrift        = "drift"
	SignalDecision     = "decision"
	SignalOrder        = "order"
)

// InfrastructureID is the workflow ID of an Infrastructure: its lock.
func InfrastructureID(scope schemas.Scope) string { return "infrastructure/" + scope.String() }

// DeployID is the workflow ID of the deployment of a revision.
func DeployID(scope schemas.Scope, revision int) string {
	return fmt.Sprintf("%s/rev-%d", InfrastructureID(scope), revision)
}

// RolloutID is the workflow ID of the rollout of a Compute in the deployment of a revision.
func RolloutID(scope schemas.Scope, revision int, resource string) string {
	return DeployID(scope, revision) + "/" + resource
}

// DriftID is the workflow ID of a look for drift; the schedule adds its time.
func DriftID(scope schemas.Scope) string { return InfrastructureID(scope) + "/drift" }

// ContainerID is the workflow ID of the life cycle of a container.
func ContainerID(scope schemas.Scope) string { return "container/" + scope.String() }

// DriftInput is what a Drift workflow starts with.
type DriftInput struct {
	Scope schemas.Scope `json:"scope"`
}

// InfrastructureInput is what an Infrastructure workflow starts with and carries
// from run to run.
type InfrastructureInput struct {
	Scope schemas.Scope `json:"scope"`
	// Revision is the number of the newest revision.
	Revision int `json:"revision"`
	// Stable is the last revision that was deployed whole; Number 0 is none.
	Stable activities.Revision `json:"stable"`
	// Status is the outcome of the newest deployment, in a word.
	Status string `json:"status,omitempty"`
	// Seen are the keys of the newest commands, oldest first.
	Seen []string `json:"seen,omitempty"`
	// Served is the newest command that was served; its ID is empty when none was.
	Served schemas.CommandReference `json:"served,omitzero"`
	// Queue are the commands that wait, in the order in which they are served.
	Queue []schemas.CommandReference `json:"queue,omitempty"`
	// Partial says that the newest deployment went beyond the stable revision and left
	// something out, so that reality is as no revision declares it.
	Partial bool `json:"partial,omitempty"`
	// Watch is the drift policy of the stable revision.
	Watch *schemas.Drift `json:"watch,omitempty"`
	// Drifted maps the resources that were told to have drifted to the cause.
	Drifted map[string]string `json:"drifted,omitempty"`
	// Looks counts the events that looks for drift have told.
	Looks int `json:"looks,omitempty"`
}

// DeployInput is what a Deploy workflow starts with.
type DeployInput struct {
	Command  schemas.CommandReference `json:"command"`
	Revision activities.Revision      `json:"revision"`
	// Destroy removes everything; Revision.Reference is empty then.
	Destroy bool `json:"destroy,omitempty"`
	// Stable is where a rollback goes; Number 0 is nothing at all.
	Stable activities.Revision `json:"stable"`
	// Heal says that nobody asked for it: reality has drifted from the revision.
	Heal bool `json:"heal,omitempty"`
}

// DeployOutput is what a deployment that ended well leaves behind.
type DeployOutput struct {
	// Partial says that resources were skipped, so that the revision is no target of
	// a rollback.
	Partial bool `json:"partial,omitempty"`
	// Drift is the drift policy of the revision.
	Drift *schemas.Drift `json:"drift,omitempty"`
}

// RolloutInput is what a Rollout workflow starts with and carries from run to run.
type RolloutInput struct {
	Command schemas.CommandReference `json:"command"`
	// Deployment is the revision that is being deployed. Target is where this rollout
	// leads, which is another one on the way back; Stable is where it goes back to.
	Deployment int                 `json:"deployment"`
	Target     activities.Revision `json:"target"`
	Stable     activities.Revision `json:"stable,omitzero"`
	Resource   string              `json:"resource"`
	// GoesBack says that a failure goes back to Stable.
	GoesBack bool `json:"goesBack,omitempty"`
	// Told counts the events that were told.
	Told int `json:"told,omitempty"`
	// State is where an earlier run stopped; nil begins.
	State *rollout.State `json:"state,omitempty"`
	// Supervised says that the provider's place exchanges the replicas by itself;
	// Supervision is State then.
	Supervised  bool               `json:"supervised,omitempty"`
	Supervision *supervision.State `json:"supervision,omitempty"`
}

// RolloutOutput is what a rollout that succeeded leaves behind.
type RolloutOutput struct {
	Outputs schemas.Outputs `json:"outputs,omitempty"`
}

// ContainerInput is what a ContainerLifecycle workflow starts with and carries from run
// to run.
type ContainerInput struct {
	Scope schemas.Scope `json:"scope"`
	// Seen, Served and Queue are as in InfrastructureInput.
	Seen   []string                   `json:"seen,omitempty"`
	Served schemas.CommandReference   `json:"served,omitzero"`
	Queue  []schemas.CommandReference `json:"queue,omitempty"`
	// Revision declares the container; Number counts the commands that ran it, and 0 is
	// none.
	Revision activities.Revision     `json:"revision,omitzero"`
	Policy   schemas.ContainerPolicy `json:"policy,omitzero"`
	// Known is the container as it was found or left last.
	Known activities.ContainerCondition `json:"known,omitzero"`
	// Restarts counts in a row what the unhealthy policy did, and HealthySince is when
	// the container became healthy last.
	Restarts     int       `json:"restarts,omitempty"`
	HealthySince time.Time `json:"healthySince,omitzero"`
	// Due is when the unhealthy policy is to do something; zero is never.
	Due time.Time `json:"due,omitzero"`
	// Unwatched says that the container cannot be watched until somebody asks for something.
	Unwatched bool `json:"unwatched,omitempty"`
	// Told counts the events that were told.
	Told int `json:"told,omitempty"`
}

// The types of the errors with which Deploy and Rollout workflows end, beside cancellation.
const (
	ErrorFailed     = "Failed"
	ErrorRolledBack = "RolledBack"
)

// The values of the status search attribute.
const (
	StatusDeploying   = "Deploying"
	StatusDestroying  = "Destroying"
	StatusPaused      = "Paused"
	StatusRollingBack = "RollingBack"
	StatusReady       = "Ready"
	StatusDestroyed   = "Destroyed"
	StatusFailed      = "Failed"
	StatusRolledBack  = "RolledBack"
	StatusCancelled   = "Cancelled"
)
