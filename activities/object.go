package activities

import (
	"context"

	"windlass/schemas"
)

// ObjectProvider is a Provider whose place holds objects of the Kubernetes API, which
// people read and change beside every Infrastructure. An object of an Infrastructure is
// only changed or deleted by force. What Provider says of errors and of concurrent use
// holds for its methods too: a *Fault of kind NotFound is an object that is not there,
// Invalid one that the server does not accept, or a kind that it does not serve, and
// Conflict one that is there already, that somebody else has changed meanwhile, or of
// which somebody else owns fields.
type ObjectProvider interface {
	Provider
	// GetObject reads an object.
	GetObject(ctx context.Context, reference schemas.ObjectReference) (schemas.ObjectAnswer, error)
	// ListObjects reads one page of the objects of a kind.
	ListObjects(ctx context.Context, request schemas.ObjectListRequest) (schemas.ObjectListAnswer, error)
	// CreateObject makes an object that is not there.
	CreateObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error)
	// UpdateObject replaces an object that is there. Where it says which version it was
	// made from, that version must be there.
	UpdateObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error)
	// ApplyObject makes an object or changes the fields of one, by server-side apply.
	ApplyObject(ctx context.Context, request schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error)
	// DeleteObject asks for an object to be removed, and does not wait until it is gone.
	DeleteObject(ctx context.Context, request schemas.ObjectDeleteRequest) (schemas.ObjectAnswer, error)
}
