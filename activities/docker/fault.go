package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"

	"windlass/activities"
)

// engineFault makes a Fault of what the engine, or the way to it, answered to a
// call. When ctx has ended, which is nobody's fault, the error is the context's.
// What the engine cannot do now (5xx, a broken or refused connection, no answer
// in time) is Unavailable.
func engineFault(ctx context.Context, resource, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s: %w", resource, doing, ctx.Err())
	}
	f := &activities.Fault{Kind: faultKind(err), Resource: resource, Message: doing + ": " + engineMessage(err), Err: err}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.Message = doing + ": the container engine did not answer in time"
		f.Hint = "see whether the engine hangs"
	case f.Kind == activities.Unavailable:
		f.Hint = "see whether the container engine runs and can be reached"
	}
	return f
}

func faultKind(err error) activities.FaultKind {
	switch {
	case errdefs.IsNotFound(err):
		return activities.NotFound
	case errdefs.IsConflict(err), errdefs.IsAlreadyExists(err):
		return activities.Conflict
	case errdefs.IsUnauthorized(err):
		return activities.Unauthorized
	case errdefs.IsInvalidArgument(err), errdefs.IsPermissionDenied(err), errdefs.IsNotImplemented(err):
		return activities.Invalid
	default:
		return activities.Unavailable
	}
}

// engineMessage is the engine's own text.
func engineMessage(err error) string {
	return strings.TrimPrefix(err.Error(), "Error response from daemon: ")
}

// foreign is the fault of an object that has a name which Windlass gives, but was
// not made by this provider for this resource.
func foreign(resource, kind, name string) error {
	return &activities.Fault{Kind: activities.Conflict, Resource: resource,
		Message: fmt.Sprintf("there is a %s named %q already that does not carry the labels of this resource", kind, name),
		Hint:    fmt.Sprintf("remove or rename that %s, or give the resource another name", kind)}
}

// containsAny says whether text contains one of the parts, in any case.
func containsAny(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
