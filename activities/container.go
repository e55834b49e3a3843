package activities

import (
	"context"
	"time"

	"windlass/plan"
	"windlass/schemas"
)

// ContainerRuntime runs single containers. Each is declared as a Compute of one
// replica in the Infrastructure that is named schemas.ContainersName. What Provider
// says of repeated calls, labels and errors holds for its methods too.
type ContainerRuntime interface {
	Provider
	ImageRegistry
	// CreateContainer makes the container and does not start it. Those of other
	// versions stay as they are.
	CreateContainer(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (ContainerCondition, error)
	// StartContainer has the container run, and makes it where it is gone. One of
	// another version is stopped first and then removed; where the declared one cannot
	// be started, it runs again, and the declared one is removed.
	StartContainer(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (ContainerCondition, error)
	// StopContainer ends the container with its grace period and keeps it.
	StopContainer(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (ContainerCondition, error)
	// PauseContainer freezes the processes of a container that runs; ResumeContainer has
	// them go on. The error is a Fault of kind Conflict where it does not run.
	PauseContainer(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (ContainerCondition, error)
	ResumeContainer(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (ContainerCondition, error)
	// WatchContainer returns as soon as the container is not as it was known to be.
	WatchContainer(ctx context.Context, declared plan.Desired, known ContainerCondition, secrets Secrets, progress Progress) (ContainerReport, error)
	// ContainerLogs reads what the container has written, without secrets.
	ContainerLogs(ctx context.Context, declared plan.Desired, request schemas.LogsRequest, secrets Secrets) (schemas.LogsAnswer, error)
}

// ContainerCondition is what is known of a container at one moment.
type ContainerCondition struct {
	// ID is the engine's; empty is a container that is not there.
	ID    string `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	Image string `json:"image,omitempty"`

	State  plan.ContainerState `json:"state,omitempty"`
	Health plan.HealthState    `json:"health,omitempty"`
	// StartedAt tells one run of the container from the next.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// ExitCode is that of the last run, where the container does not run.
	ExitCode *int `json:"exitCode,omitempty"`
}

// Same says that nothing has happened between the two.
func (c ContainerCondition) Same(other ContainerCondition) bool {
	return c.ID == other.ID && c.State == other.State && c.Health == other.Health && c.StartedAt.Equal(other.StartedAt)
}

// Exists says that there is a container.
func (c ContainerCondition) Exists() bool { return c.ID != "" }

// Up says that the container has processes: it runs or is paused.
func (c ContainerCondition) Up() bool {
	return c.State == plan.ContainerRunning || c.State == plan.ContainerPaused
}

// Ended says whether a run that was under way is over now.
func (c ContainerCondition) Ended(now ContainerCondition) bool {
	return c.Up() && now.ID == c.ID && (!now.Up() || !now.StartedAt.Equal(c.StartedAt))
}

// ContainerReport is what became of a container.
type ContainerReport struct {
	Condition ContainerCondition
	// ExitCode is that of the run that has ended; nil where none has, or nobody knows it.
	ExitCode *int
	// Fault has the evidence of one that failed; nil where nothing has.
	Fault *Fault
}

// ContainerInput is a container as the newest command to run it declares it.
type ContainerInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision Revision      `json:"revision"`
	// Known is what a watch compares with.
	Known ContainerCondition `json:"known,omitzero"`
}

// ContainerOutput is the container as it was found or left.
type ContainerOutput struct {
	Condition ContainerCondition `json:"condition"`
	ExitCode  *int               `json:"exitCode,omitempty"`
	Failure   *schemas.Failure   `json:"failure,omitempty"`
}

// ContainerTarget is how a container is labelled.
func ContainerTarget(environment, container, provider string) plan.Target {
	return plan.Target{
		Scope:    schemas.Scope{Environment: environment, Infrastructure: schemas.ContainersName},
		Resource: container, Type: schemas.TypeCompute, Provider: provider,
	}
}
