package activities

import (
	"errors"
	"fmt"
	"strings"

	"windlass/schemas"
)

// FaultKind says what sort of failure a Fault is, and so whether a retry can help.
type FaultKind string

const (
	// NotFound: something that is named does not exist, such as an image.
	NotFound FaultKind = "NotFound"
	// Invalid: the declaration cannot be fulfilled as it stands.
	Invalid FaultKind = "Invalid"
	// Conflict: something else holds what is needed, such as a port or a name.
	Conflict FaultKind = "Conflict"
	// Unauthorized: credentials are missing or refused.
	Unauthorized FaultKind = "Unauthorized"
	// Protected: something protected would have to be deleted or replaced.
	Protected FaultKind = "Protected"
	// Unhealthy: a replica ended or never became healthy.
	Unhealthy FaultKind = "Unhealthy"
	// Forbidden: who asks is known, and may not.
	Forbidden FaultKind = "Forbidden"
	// Unavailable: the other side does not answer, which a retry may mend.
	Unavailable FaultKind = "Unavailable"
	// Throttled: the other side wants to be asked less often, which a retry may mend.
	Throttled FaultKind = "Throttled"
)

// Permanent says that a retry cannot help.
func (k FaultKind) Permanent() bool { return k != Unavailable && k != Throttled }

// Fault is an error that says what failed, where, why, and what to do about it.
type Fault struct {
	Kind FaultKind
	// Resource is the name of the resource, empty when there is none.
	Resource string
	// Field is the path in the resource, such as "properties.image"; may be empty.
	Field string
	// Message says what is wrong, lower case, without a full stop.
	Message string
	// Hint says what to do; may be empty.
	Hint string
	// Evidence is what was found at the failing replica.
	Evidence *schemas.Evidence
	// Err is the cause, for errors.Is and errors.As; may be nil.
	Err error
}

// Error joins resource, field, message and hint in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.Resource != "" {
		fmt.Fprintf(&b, "%s: ", f.Resource)
	}
	if f.Field != "" {
		fmt.Fprintf(&b, "%s: ", f.Field)
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		fmt.Fprintf(&b, "; %s", f.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// IsKind says whether err is or wraps a Fault of that kind.
func IsKind(err error, kind FaultKind) bool {
	var f *Fault
	return errors.As(err, &f) && f.Kind == kind
}
