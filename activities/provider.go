// Package activities holds the side effects. Its root states the contracts that
// providers fulfil and the activities that workflows call; one folder beside it
// holds each provider.
package activities

import (
	"context"
	"time"

	"windlass/plan"
	"windlass/schemas"
)

// Progress tells in words what a long call is doing. It is cheap, may be called
// often and from any goroutine, and also proves that the caller is alive.
type Progress func(message string)

// Provider creates, updates, deletes and observes the resources of one place.
//
// Every method may be called again after a crash at any point of an earlier call
// and must then finish what that call began: names are deterministic, every object
// carries the identity labels, and each create reads before it writes and adopts
// what it finds. Objects without the labels are never touched. Errors that a
// retry cannot mend are of type *Fault with a permanent kind. All methods are
// safe for concurrent use and return soon after their context ends.
type Provider interface {
	// Version says what answers, such as "Docker Engine 20.10.24", or why nothing does.
	Version(ctx context.Context) (string, error)
	// ReplaceOn names the properties of that type whose change has what exists replaced,
	// as plan.Desired does.
	ReplaceOn(kind schemas.ResourceType) []string
	// Outputs predicts the outputs of a declared resource without asking the engine.
	Outputs(declared plan.Desired) (schemas.Outputs, error)
	// Images lists the images that the resource runs.
	Images(declared plan.Desired) ([]Image, error)
	// Pull makes an image available as its policy says.
	Pull(ctx context.Context, image Image, secrets Secrets, progress Progress) error
	// Permit refuses, with a *Fault of kind Invalid that names the field, a change
	// of what is observed that the provider cannot make. Both have the same target.
	// It asks nobody: what the labels do not tell is permitted. Whoever plans calls
	// it for every declared resource, so that Apply need not look again.
	Permit(desired plan.Desired, observed plan.Observed) error
	// Adopts says in words what exists already and is taken over by a resource that
	// is declared and not there; empty is nothing. A *Fault of kind NotFound or
	// Conflict that names the field says why that cannot be.
	Adopts(ctx context.Context, declared plan.Desired) (string, error)
	// Observe finds everything that carries the labels of the scope.
	Observe(ctx context.Context, scope schemas.Scope) ([]plan.Observed, error)
	// Scopes lists every scope that something carries the labels of, in any order.
	Scopes(ctx context.Context) ([]schemas.Scope, error)
	// Apply makes reality equal to the declaration, adopting what is right
	// already, and returns when the resource is ready.
	Apply(ctx context.Context, desired plan.Desired, secrets Secrets, progress Progress) (schemas.Outputs, error)
	// Delete removes every object of the resource; a resource that is gone is no error.
	Delete(ctx context.Context, target plan.Target, progress Progress) error
	// Metrics measures the running replicas of a resource.
	Metrics(ctx context.Context, target plan.Target) ([]Metrics, error)
}

// Image is an image that a resource runs.
type Image struct {
	Reference   string                       `json:"reference"`
	Policy      schemas.PullPolicy           `json:"policy"`
	Credentials *schemas.RegistryCredentials `json:"credentials,omitempty"`
	// Field is the path in the document that names the image, relative to the
	// resource, such as "properties.image".
	Field string `json:"field"`
}

// Metrics is one reading of a replica, taken from the engine.
type Metrics struct {
	Replica string    `json:"replica"`
	At      time.Time `json:"at"`
	// CPU is in cores, averaged over about a second.
	CPU float64 `json:"cpu"`
	// MemoryBytes is without the page cache that the kernel can drop at once.
	MemoryBytes int64 `json:"memoryBytes"`
	// MemoryLimitBytes is 0 when there is no limit.
	MemoryLimitBytes int64 `json:"memoryLimitBytes,omitempty"`
	// NetworkInBytes and NetworkOutBytes count since the replica started.
	NetworkInBytes  int64 `json:"networkInBytes"`
	NetworkOutBytes int64 `json:"networkOutBytes"`
}

// Secrets replaces the placeholders of secrets in one activity. The zero value
// of an implementation never logs or returns what it revealed in an error.
type Secrets interface {
	// Reveal returns text with every placeholder replaced. A placeholder that
	// nothing resolves is a *Fault of kind Invalid that names it.
	Reveal(text string) (string, error)
	// Redact returns text with every value that was revealed so far replaced by "[redacted]".
	Redact(text string) string
}
