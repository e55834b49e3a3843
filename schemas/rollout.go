package schemas

import "time"

// RolloutPhase is what a rollout is at.
type RolloutPhase string

// The phases of a rollout.
const (
	RolloutProgressing RolloutPhase = "Progressing"
	// RolloutAnalysing measures the new version, RolloutHolding holds a canary step.
	RolloutAnalysing RolloutPhase = "Analysing"
	RolloutHolding   RolloutPhase = "Holding"
	// RolloutWarm keeps the old replicas after all requests were moved.
	RolloutWarm RolloutPhase = "Warm"
	// RolloutMonitoring watches the new replicas after the last of them serves.
	RolloutMonitoring  RolloutPhase = "Monitoring"
	RolloutRollingBack RolloutPhase = "RollingBack"
	RolloutSucceeded   RolloutPhase = "Succeeded"
	RolloutRolledBack  RolloutPhase = "RolledBack"
	RolloutFailed      RolloutPhase = "Failed"
	// RolloutCancelled ended since its deployment did.
	RolloutCancelled RolloutPhase = "Cancelled"
)

// Final says that the rollout has ended.
func (p RolloutPhase) Final() bool {
	switch p {
	case RolloutSucceeded, RolloutRolledBack, RolloutFailed, RolloutCancelled:
		return true
	}
	return false
}

// RolloutOrder is what somebody asks of a rollout that runs.
type RolloutOrder string

// The orders.
const (
	RolloutPause  RolloutOrder = "pause"
	RolloutResume RolloutOrder = "resume"
	// RolloutPromote ends the present wait: a pause, an analysis or a window.
	RolloutPromote RolloutOrder = "promote"
	// RolloutPromoteAll ends every wait that there is and will be.
	RolloutPromoteAll RolloutOrder = "promoteAll"
	// RolloutAbort goes back to the stable version.
	RolloutAbort RolloutOrder = "abort"
)

// The roles of a version in a rollout.
const (
	RolloutTarget = "new"
	RolloutStable = "stable"
	RolloutOld    = "old"
)

// RolloutStatus is the data of rollout events.
type RolloutStatus struct {
	Scope
	Revision int          `json:"revision"`
	Resource string       `json:"resource"`
	Strategy StrategyType `json:"strategy"`
	Phase    RolloutPhase `json:"phase"`
	Paused   bool         `json:"paused,omitempty"`
	// Step counts the canary steps that are done, of Steps.
	Step  int `json:"step,omitempty"`
	Steps int `json:"steps,omitempty"`
	// Weight is the share of the requests, in percent, that the new version gets; nil
	// is without shares.
	Weight *int `json:"weight,omitempty"`
	// Message says in words what the rollout is at.
	Message string `json:"message"`
	// Deadline is when it fails unless a replica becomes available.
	Deadline time.Time `json:"deadline,omitzero"`
	// Sets are the versions, the new one first.
	Sets  []RolloutSet `json:"sets,omitempty"`
	Error *Failure     `json:"error,omitempty"`
	// By is the source of the command that changed the rollout, where one did.
	By string `json:"by,omitempty"`
}

// RolloutSet is one version in a rollout.
type RolloutSet struct {
	// Role is new, stable or old.
	Role string `json:"role"`
	// Version begins the spec hash; Revision is the one that made the replicas.
	Version  string `json:"version"`
	Revision int    `json:"revision,omitempty"`
	Image    string `json:"image,omitempty"`
	// Declared is how many replicas there are to be, There how many there are;
	// Available are well, and Serving get requests.
	Declared  int              `json:"declared"`
	There     int              `json:"there"`
	Available int              `json:"available"`
	Serving   int              `json:"serving"`
	Replicas  []RolloutReplica `json:"replicas,omitempty"`
}

// RolloutReplica is one replica in a rollout.
type RolloutReplica struct {
	Index int `json:"index"`
	// State is a word such as starting, serving or draining.
	State string `json:"state"`
}
