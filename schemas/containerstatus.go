package schemas

import "strings"

// ContainerStatus is the data of container events.
type ContainerStatus struct {
	Environment string `json:"environment"`
	Container   string `json:"container"`
	Provider    string `json:"provider,omitempty"`
	Image       string `json:"image,omitempty"`
	// Name is that of the container in its engine, ID the engine's id.
	Name string `json:"name,omitempty"`
	ID   string `json:"id,omitempty"`
	// State is the container's state, such as Running or Exited; empty where there is none.
	State string `json:"state,omitempty"`
	// Health is None without a health check, or Starting, Healthy or Unhealthy.
	Health string `json:"health,omitempty"`
	// ExitCode is how it ended, in container.exited and stopped.
	ExitCode *int `json:"exitCode,omitempty"`
	// Restarts counts what the unhealthy policy did in a row.
	Restarts int `json:"restarts,omitempty"`
	// Document is the reference of the container's document in the bucket of revisions.
	Document string `json:"document,omitempty"`
	// Cause says why it moved.
	Cause string   `json:"cause,omitempty"`
	Error *Failure `json:"error,omitempty"`
}

// Scope is how the container is addressed.
func (c ContainerStatus) Scope() Scope { return ContainerScope(c.Environment, c.Container) }

// ContainerMove is what a container event tells, such as healthy.
func ContainerMove(eventType string) string {
	move, _ := strings.CutPrefix(ShortType(eventType), "container.")
	return move
}
