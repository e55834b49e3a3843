package activities

import (
	"context"

	"windlass/plan"
	"windlass/schemas"
)

// ReplicaProvider is a Provider that moves single replicas of a Compute, and leaves
// it to the caller which of them moves when. What Provider says of repeated calls,
// labels and errors holds for its methods too.
type ReplicaProvider interface {
	Provider
	// Rolls says whether replicas of two versions of the Compute can be there at once.
	Rolls(declared plan.Desired) (bool, error)
	// Survey finds every replica of the Compute, of any version.
	Survey(ctx context.Context, declared plan.Desired, progress Progress) (Survey, error)
	// StartReplica makes and starts a replica, and returns its name.
	StartReplica(ctx context.Context, declared plan.Desired, index int, secrets Secrets, progress Progress) (string, error)
	// AwaitReplica returns when a replica that was started is ready, and has been so
	// for as long as the strategy says. The error is a *Fault of kind Unhealthy, with
	// evidence, as soon as it is sure that it will not be.
	AwaitReplica(ctx context.Context, declared plan.Desired, index int, secrets Secrets, progress Progress) error
	// WatchReplicas returns when one of the version's replicas that was ready is not any
	// more. Those that are known are taken to be ready.
	WatchReplicas(ctx context.Context, declared plan.Desired, known []int, secrets Secrets, progress Progress) (UnhealthyReplica, error)
	// Route changes which replicas the proxies pass requests to, all at once in each proxy.
	Route(ctx context.Context, declared plan.Desired, routing Routing, progress Progress) error
	// DrainReplica waits until a replica that was taken out has no request in flight, at
	// most for the drain timeout of its proxies.
	DrainReplica(ctx context.Context, target plan.Target, name string, progress Progress) error
	// RemoveReplica ends a replica, with its grace period, and removes it.
	RemoveReplica(ctx context.Context, target plan.Target, name string, progress Progress) error
	// SetAsideReplica ends a replica that failed and keeps it, under another name, until
	// the next rollout or deletion. It returns what was found; nil when it is gone.
	SetAsideReplica(ctx context.Context, declared plan.Desired, index int, secrets Secrets, progress Progress) (*schemas.Evidence, error)
	// AnalyseReplicas measures the version. The error is a *Fault of kind Unhealthy when
	// more measurements failed than may.
	AnalyseReplicas(ctx context.Context, declared plan.Desired, analysis schemas.Analysis, secrets Secrets, progress Progress) error
	// Settle leaves the proxies with the declared replicas alone, and returns the outputs.
	Settle(ctx context.Context, declared plan.Desired, secrets Secrets, progress Progress) (schemas.Outputs, error)
}

// Survey is what was found of the replicas of a Compute.
type Survey struct {
	// Balanced says that proxies pass requests to them.
	Balanced bool            `json:"balanced"`
	Replicas []ReplicaReport `json:"replicas"`
}

// ReplicaReport is one replica.
type ReplicaReport struct {
	// Set is the spec hash of its version, Revision the one that made it.
	Set      string `json:"set"`
	Revision int    `json:"revision"`
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Image    string `json:"image"`
	// Available says that it is as it should be; Starting that it may become so.
	Available bool `json:"available,omitempty"`
	Starting  bool `json:"starting,omitempty"`
	// Routed says that proxies pass requests to it.
	Routed bool `json:"routed,omitempty"`
}

// Routing is a change of what the proxies of a Compute pass requests to.
type Routing struct {
	// Join and Leave are the names of replicas.
	Join  []string `json:"join,omitempty"`
	Leave []string `json:"leave,omitempty"`
	// Weight is the share of the requests, in percent, that the replicas of the declared
	// version get; nil has all replicas share alike.
	Weight *int `json:"weight,omitempty"`
}

// UnhealthyReplica is a replica that was ready and is not any more.
type UnhealthyReplica struct {
	Index int
	Fault *Fault
}
