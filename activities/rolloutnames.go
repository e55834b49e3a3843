package activities

import (
	"windlass/plan/rollout"
	"windlass/schemas"
)

// ComputeInput is a Compute as a revision declares it.
type ComputeInput struct {
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	Revision Revision      `json:"revision"`
}

// SurveyInput asks for what a rollout to a revision begins with.
type SurveyInput struct {
	ComputeInput
	// Stable is where the rollout goes back to.
	Stable Revision `json:"stable,omitzero"`
}

// SurveyOutput is what a rollout begins with.
type SurveyOutput struct {
	Strategy schemas.Strategy `json:"strategy"`
	Target   rollout.Version  `json:"target"`
	// Stable has no Set where the stable revision does not declare the same Compute.
	Stable rollout.Version `json:"stable,omitzero"`
	Found  Survey          `json:"found"`
}

// ReplicaInput asks for something to be done with one replica of a Compute.
type ReplicaInput struct {
	// ComputeInput declares the replica's version; of a replica that goes, any that there is.
	ComputeInput
	Index int `json:"index"`
	// Name is that of the container, where the declaration does not tell it.
	Name string `json:"name,omitempty"`
}

// StartOutput is the replica that was started.
type StartOutput struct {
	Name string `json:"name"`
}

// SetAsideOutput is what was found at the replica; nil where it was gone.
type SetAsideOutput struct {
	Evidence *schemas.Evidence `json:"evidence,omitempty"`
}

// RouteInput asks for a change of what the proxies of a Compute pass requests to.
type RouteInput struct {
	ComputeInput
	Routing Routing `json:"routing"`
}

// OverseeInput asks for the replicas of a version to be watched.
type OverseeInput struct {
	ComputeInput
	// Known are the indexes of those that were ready.
	Known []int `json:"known,omitempty"`
}

// OverseeOutput is the replica that turned unhealthy.
type OverseeOutput struct {
	Index   int             `json:"index"`
	Failure schemas.Failure `json:"failure"`
}

// AnalyseInput asks for a version to be measured as one of its canary steps says.
type AnalyseInput struct {
	ComputeInput
	Step int `json:"step"`
}
