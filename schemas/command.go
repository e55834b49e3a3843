package schemas

import "encoding/json"

// The types of command.
const (
	CommandDeploymentRequested = "io.windlass.deployment.requested.v1"
	CommandDestroyRequested    = "io.windlass.destroy.requested.v1"
)

// DeploymentRequested is the data of a deployment.requested command.
type DeploymentRequested struct {
	// Document is an Infrastructure or a Template: an object, or a string that
	// holds its YAML or JSON text, so that faults name the lines of the file.
	Document json.RawMessage `json:"document"`
	// Parameters are the values for a Template.
	Parameters map[string]any `json:"parameters,omitempty"`
}

// DestroyRequested is the data of a destroy.requested command.
type DestroyRequested struct {
	Scope
}
