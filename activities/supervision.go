package activities

import (
	"context"

	"windlass/plan"
	"windlass/plan/supervision"
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
	// BeginRollout declares the version, and pauses the exchange or has it go on. With a
	// part beside, the stable version stays what it is until the main part is meant, and
	// the requests are shared out; without one, all of them go to the main part first. It
	// does not wait for replicas.
	BeginRollout(ctx context.Context, declared plan.Desired, way supervision.Way, secrets Secrets, progress Progress) error
	// WatchRollout returns as soon as the exchange is not any more as it was seen. It
	// learns so from what the place tells, not by asking again and again. The error is a
	// *Fault of kind Unhealthy, with evidence, as soon as it is plain that the version
	// will not come up: its image cannot be pulled, it crashes again and again, it does
	// not fit anywhere, or a replica that was ready is not any more.
	WatchRollout(ctx context.Context, declared plan.Desired, beside supervision.Beside, seen supervision.Exchange, secrets Secrets, progress Progress) (supervision.Exchange, error)
	// InspectReplicas returns what is found at a replica of the version that is not ready;
	// nil where there is none.
	InspectReplicas(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (*schemas.Evidence, error)
	// FinishRollout removes what only other versions needed, and returns the outputs of
	// what is declared.
	FinishRollout(ctx context.Context, declared plan.Desired, progress Progress) (schemas.Outputs, error)
}
