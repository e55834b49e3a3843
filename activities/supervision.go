package activities

import (
	"context"

	"windlass/plan"
	"windlass/schemas"
)

// SupervisedProvider is a Provider whose place exchanges the replicas of a Compute by
// itself. A rollout declares the new version, watches, and goes back when it has to.
// What Provider says of repeated calls, labels and errors holds for its methods too.
type SupervisedProvider interface {
	Provider
	// Supervises says whether the place exchanges the replicas of the declared Compute. A
	// *Fault of kind Invalid that names the field says what of the strategy it cannot do.
	Supervises(declared plan.Desired) (bool, error)
	// BeginRollout declares the version, and pauses the exchange or has it go on. It
	// does not wait for replicas.
	BeginRollout(ctx context.Context, declared plan.Desired, paused bool, secrets Secrets, progress Progress) error
	// WatchRollout returns as soon as the exchange is not any more as it was seen. It
	// learns so from what the place tells, not by asking again and again. The error is a
	// *Fault of kind Unhealthy, with evidence, as soon as it is plain that the version
	// will not come up: its image cannot be pulled, it crashes again and again, it does
	// not fit anywhere, or a replica that was ready is not any more.
	WatchRollout(ctx context.Context, declared plan.Desired, seen Exchange, secrets Secrets, progress Progress) (Exchange, error)
	// FinishRollout returns the outputs of what is declared now.
	FinishRollout(ctx context.Context, declared plan.Desired) (schemas.Outputs, error)
}

// Exchange is how far the exchange of the replicas of a Compute has come.
type Exchange struct {
	// Declared is how many replicas there are to be, Updated how many there are of the new
	// version, Ready how many of those are ready, and Available how many have been so for
	// long enough. Old is how many there are of other versions, OldAvailable how many of
	// those serve.
	Declared     int `json:"declared"`
	Updated      int `json:"updated"`
	Ready        int `json:"ready"`
	Available    int `json:"available"`
	Old          int `json:"old"`
	OldAvailable int `json:"oldAvailable"`
	// Paused says that the place starts and ends no replicas for the exchange.
	Paused bool `json:"paused,omitempty"`
	// Complete says that the new version is all that there is, and available.
	Complete bool `json:"complete,omitempty"`
	// Waits says in words what it waits for; may be empty.
	Waits string `json:"waits,omitempty"`
}
