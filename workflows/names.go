// Package workflows holds the Temporal workflows: deterministic code that decides
// what runs when. Every side effect is an activity of the activities room, which
// is called by name; this package never links a provider.
package workflows

import (
	"fmt"

	"windlass/activities"
	"windlass/schemas"
)

// The names of workflows and signals in Temporal. They are given at registration,
// so that renaming a Go function renames nothing in histories.
const (
	NameInfrastructure = "Infrastructure"
	NameDeploy         = "Deploy"
	SignalCommand      = "command"
)

// InfrastructureID is the workflow ID of an Infrastructure: its lock.
func InfrastructureID(scope schemas.Scope) string { return "infrastructure/" + scope.String() }

// DeployID is the workflow ID of the deployment of a revision.
func DeployID(scope schemas.Scope, revision int) string {
	return fmt.Sprintf("%s/rev-%d", InfrastructureID(scope), revision)
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
}

// DeployInput is what a Deploy workflow starts with.
type DeployInput struct {
	Command  schemas.CommandReference `json:"command"`
	Revision activities.Revision      `json:"revision"`
	// Destroy removes everything; Revision.Reference is empty then.
	Destroy bool `json:"destroy,omitempty"`
	// Stable is where a rollback goes; Number 0 is nothing at all.
	Stable activities.Revision `json:"stable"`
}

// The types of the errors with which a Deploy workflow ends, beside cancellation.
const (
	ErrorFailed     = "Failed"
	ErrorRolledBack = "RolledBack"
)

// The values of the status search attribute.
const (
	StatusDeploying   = "Deploying"
	StatusDestroying  = "Destroying"
	StatusRollingBack = "RollingBack"
	StatusReady       = "Ready"
	StatusDestroyed   = "Destroyed"
	StatusFailed      = "Failed"
	StatusRolledBack  = "RolledBack"
	StatusCancelled   = "Cancelled"
)
