package activities

import (
	"windlass/plan/rollout"
	"windlass/schemas"
)

// SurveyInput asks for what a rollout begins with.
type SurveyInput struct {
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	// Revision is where the rollout leads, Stable where it goes back to.
	Revision Revision `json:"revision"`
	Stable   Revision `json:"stable,omitzero"`
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
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	// Revision declares the replica's version; of a replica that goes, any that declares
	// the Compute.
	Revision Revision `json:"revision"`
	Index    int      `json:"index"`
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
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	Revision Revision      `json:"revision"`
	Routing  Routing       `json:"routing"`
}

// OverseeInput asks for the replicas of a version to be watched.
type OverseeInput struct {
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	Revision Revision      `json:"revision"`
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
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	Revision Revision      `json:"revision"`
	Step     int           `json:"step"`
}

// SettleInput asks for the proxies to know the declared replicas alone.
type SettleInput struct {
	Scope    schemas.Scope `json:"scope"`
	Resource string        `json:"resource"`
	Revision Revision      `json:"revision"`
}
