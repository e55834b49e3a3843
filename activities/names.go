package activities

import (
	"slices"

	"windlass/schemas"
	"windlass/schemas/quantity"
)

// The names of the activities in Temporal. They are given at registration, so that
// renaming a Go function renames nothing in histories.
const (
	NamePlan    = "Plan"
	NamePull    = "Pull"
	NameApply   = "Apply"
	NameDelete  = "Delete"
	NameBatch   = "Batch"
	NamePublish = "Publish"
	NameReject  = "Reject"

	NameUnprotect = "Unprotect"
	NameScale     = "Scale"
	NameDrift     = "Drift"
	NameWatch     = "Watch"
	NameResync    = "Resync"

	NameSurvey   = "SurveyReplicas"
	NameStart    = "StartReplica"
	NameAwait    = "AwaitReplica"
	NameOversee  = "WatchReplicas"
	NameRoute    = "RouteReplicas"
	NameDrain    = "DrainReplica"
	NameRemove   = "RemoveReplica"
	NameSetAside = "SetAsideReplica"
	NameAnalyse  = "AnalyseReplicas"
	NameSettle   = "SettleReplicas"

	NameLookUpVersions  = "LookUpVersions"
	NameDeclareVersion  = "DeclareVersion"
	NameWatchExchange   = "WatchExchange"
	NameInspectReplicas = "InspectReplicas"
	NameFinishRollout   = "FinishRollout"

	NameCreateContainer = "CreateContainer"
	NameStartContainer  = "StartContainer"
	NameStopContainer   = "StopContainer"
	NamePauseContainer  = "PauseContainer"
	NameResumeContainer = "ResumeContainer"
	NameWatchContainer  = "WatchContainer"
)

// WatchQueue is the task queue of activities that last as long as what they watch. They
// have one of their own, so that they take no place from those that come to an end.
const WatchQueue = "windlass-watch"

// Revision points at the document of a revision.
type Revision struct {
	// Number counts the accepted versions of an Infrastructure from 1; 0 is the
	// empty one before the first.
	Number int `json:"number"`
	// Reference is where the document is stored; empty declares nothing at all.
	Reference string `json:"reference"`
}

// PlanInput asks for the plan that takes reality to a revision.
type PlanInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision Revision      `json:"revision"`
	// Stable is what is destroyed, when everything is.
	Stable Revision `json:"stable,omitzero"`
	// Rollback says that the way leads back, so that a plan that was asked for with
	// the revision is not the one to run.
	Rollback bool `json:"rollback,omitempty"`
}

// PlanOutput is the skeleton of a plan: what workflows need to run it.
type PlanOutput struct {
	// Operations are in an order in which each comes after those it depends on.
	Operations []schemas.Operation `json:"operations"`
	// Pulls are the images that the operations need, each once per provider.
	Pulls []PullInput `json:"pulls,omitempty"`
	// Resources maps each declared resource to the resources that it needs.
	Resources map[string][]string   `json:"resources,omitempty"`
	OnFailure schemas.FailurePolicy `json:"onFailure"`
	// Partial says that something was left out, since it was not among the targets.
	Partial bool `json:"partial,omitempty"`
	// Approval says that somebody has to approve the plan before it runs; Fingerprint
	// identifies the plan then.
	Approval    bool   `json:"approval,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	// Drift is that of the document.
	Drift   *schemas.Drift `json:"drift,omitempty"`
	Summary string         `json:"summary"`
}

// Moves says whether the plan changes anything.
func (p PlanOutput) Moves() bool {
	return slices.ContainsFunc(p.Operations, func(o schemas.Operation) bool { return o.Action.Moves() })
}

// PullInput asks for one image that a resource of a revision runs.
type PullInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision Revision      `json:"revision"`
	Resource string        `json:"resource"`
	Image    string        `json:"image"`
	// Timeout bounds the pull, retries included; 0 is without limit.
	Timeout quantity.Duration `json:"timeout,omitzero"`
}

// ApplyInput asks for one resource to be made as the revision declares it.
type ApplyInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision Revision      `json:"revision"`
	Resource string        `json:"resource"`
}

// ApplyOutput is what an applied resource offers to others, without secrets.
type ApplyOutput struct {
	Outputs schemas.Outputs `json:"outputs,omitempty"`
}

// DeleteInput asks for one resource to be removed.
type DeleteInput struct {
	Scope    schemas.Scope        `json:"scope"`
	Resource string               `json:"resource"`
	Type     schemas.ResourceType `json:"type"`
	Provider string               `json:"provider"`
}

// BatchInput asks for many operations of one plan, none of which needs another.
type BatchInput struct {
	Scope      schemas.Scope       `json:"scope"`
	Revision   Revision            `json:"revision"`
	Operations []schemas.Operation `json:"operations"`
}

// BatchOutput has the result of each operation, in their order.
type BatchOutput struct {
	Results []BatchResult `json:"results"`
}

// BatchResult is how one operation of a batch ended: with outputs, or with a failure.
type BatchResult struct {
	Outputs schemas.Outputs  `json:"outputs,omitempty"`
	Failure *schemas.Failure `json:"failure,omitempty"`
}

// PublishInput holds status events to publish in order.
type PublishInput struct {
	Events []schemas.Event `json:"events"`
}

// RejectInput asks for a dead letter of a command that was accepted and turned out
// to be unservable.
type RejectInput struct {
	Command schemas.CommandReference `json:"command"`
	Faults  schemas.Faults           `json:"faults"`
}

// ScaleInput asks for the document of a revision with the number of replicas that a
// command asks for.
type ScaleInput struct {
	Command schemas.CommandReference `json:"command"`
	Of      Revision                 `json:"of"`
}

// ScaleOutput is where that document is stored.
type ScaleOutput struct {
	Reference string `json:"reference"`
}

// UnprotectInput asks for the protection of the resources that a command names to
// be lifted.
type UnprotectInput struct {
	Command schemas.CommandReference `json:"command"`
}

// UnprotectOutput tells of each resource that is not protected any more.
type UnprotectOutput struct {
	Resources []schemas.ResourceStatus `json:"resources"`
}

// DriftInput asks how reality differs from a revision.
type DriftInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision Revision      `json:"revision"`
}

// DriftOutput has the resources that differ, each with the cause in words.
type DriftOutput struct {
	Resources []schemas.ResourceStatus `json:"resources,omitempty"`
}

// WatchInput asks for the schedule on which drift is looked for.
type WatchInput struct {
	Scope schemas.Scope `json:"scope"`
	// Drift is nil when nobody is to look any more.
	Drift *schemas.Drift `json:"drift,omitempty"`
}

// ResyncInput asks for the records of an Infrastructure to be made anew, with what
// its workflow remembers.
type ResyncInput struct {
	Scope    schemas.Scope `json:"scope"`
	Revision int           `json:"revision"`
	Stable   int           `json:"stable"`
}

// ResyncOutput tells what was found.
type ResyncOutput struct {
	// Revision is the newest one that an object was made for.
	Revision int `json:"revision"`
}
