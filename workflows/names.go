// Package workflows holds the Temporal workflows: deterministic code that decides
// what runs when. Every side effect is an activity of the activities room, which
// is called by name; this package never links a provider.
package workflows

import (
	"fmt"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/schemas"
)

// The names of workflows and signals in Temporal. They are given at registration,
// so that renaming a Go function renames nothing in histories.
const (
	NameInfrastructure = "Infrastructure"
	NameDeploy         = "Deploy"
	NameDrift          = "Drift"
	NameRollout        = "Rollout"
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
}

// RolloutOutput is what a rollout that succeeded leaves behind.
type RolloutOutput struct {
	Outputs schemas.Outputs `json:"outputs,omitempty"`
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
