package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"windlass/activities"
)

// fault makes a *Fault of what the server, or the way to it, answered. When ctx has
// ended, which is nobody's fault, the error is the context's. A server that cannot be
// reached, answers 5xx or takes too long is Unavailable, and so is one that was that a
// moment ago and now refuses who asks.
func (c *Client) fault(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	var known *activities.Fault
	if errors.As(err, &known) {
		return err
	}
	if isUntyped(err) {
		return &activities.Fault{Kind: activities.Invalid, Message: doing + ": " + withoutValues(messageOf(err))}
	}
	f := &activities.Fault{Kind: kindOf(err), Message: doing + ": " + messageOf(err), Err: err}
	if (f.Kind == activities.Forbidden || f.Kind == activities.Unauthorized) && admissionHint(err) == "" && !isQuota(err) && c.connection.settling() {
		f.Kind = activities.Unavailable
		f.Hint = fmt.Sprintf("try again: the API server of provider %q was away and may not have read yet who may do what", c.name)
		return f
	}
	switch f.Kind {
	case activities.Unavailable:
		f.Message = doing + ": " + c.unreachable(err)
		f.Hint = c.unavailableHint(err)
	case activities.Invalid:
		f.Hint = admissionHint(err)
	case activities.Unauthorized:
		f.Hint = fmt.Sprintf("renew the credentials in the kubeconfig of provider %q", c.name)
	case activities.Forbidden:
		f.Hint = forbiddenHint(err)
	case activities.Conflict:
		f.Hint = conflictHint(err)
	}
	return f
}

func kindOf(err error) activities.FaultKind {
	switch {
	case apierrors.IsNotFound(err):
		return activities.NotFound
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsNotAcceptable(err),
		apierrors.IsUnsupportedMediaType(err), apierrors.IsRequestEntityTooLargeError(err):
		return activities.Invalid
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return activities.Conflict
	case apierrors.IsUnauthorized(err):
		return activities.Unauthorized
	case isTerminating(err):
		return activities.Unavailable // it is gone soon, or whoever waits for that says what holds it
	case apierrors.IsForbidden(err):
		return activities.Forbidden
	case apierrors.IsTooManyRequests(err):
		return activities.Throttled
	}
	return activities.Unavailable
}

// isTerminating says that the namespace takes nothing new since it is about to go.
func isTerminating(err error) bool {
	return apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func isQuota(err error) bool {
	return strings.Contains(err.Error(), "exceeded quota") || strings.Contains(err.Error(), "failed quota")
}

// isUntyped says that what was applied is not of the type of its kind: a field that there
// is not, or a value that cannot be read. A server answers that with 500, and says the
// value, which may be a secret.
func isUntyped(err error) bool {
	text := err.Error()
	return strings.Contains(text, "failed to create typed patch object") || strings.Contains(text, "failed to convert new object")
}

// withoutValues leaves of such an answer which fields it is about, and what each should be.
func withoutValues(text string) string {
	var left []string
	cut := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if cut && !strings.HasPrefix(strings.TrimLeft(line, " "), ".") {
			continue // the value goes on
		}
		line, _, cut = strings.Cut(line, ", got ")
		left = append(left, line)
	}
	return strings.Join(left, "\n")
}

// retryable says whether the same request may succeed later.
func retryable(err error) bool {
	var f *activities.Fault
	return errors.As(err, &f) && !f.Kind.Permanent()
}

// messageOf is the server's own text, each cause as "field: reason".
func messageOf(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	if s.Details == nil || len(s.Details.Causes) == 0 || s.Reason == metav1.StatusReasonForbidden {
		return s.Message
	}
	var causes []string
	for _, cause := range s.Details.Causes {
		text := cause.Message
		if cause.Field != "" {
			text = cause.Field + ": " + text
		}
		causes = append(causes, text)
	}
	return strings.Join(causes, "; ")
}

// unreachable says in words why the server did not answer as it should.
func (c *Client) unreachable(err error) string {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return "the API server did not answer in time"
	case errors.As(err, &status):
		if code := status.Status().Code; code >= http.StatusInternalServerError {
			return fmt.Sprintf("the API server answered with %d: %s", code, status.Status().Message)
		}
		return messageOf(err)
	}
	return err.Error()
}

// unavailableHint tells a server that does not answer from what it needs for an answer.
func (c *Client) unavailableHint(err error) string {
	text := err.Error()
	switch {
	case isTerminating(err):
		return "see what keeps the namespace from going, or wait"
	case strings.Contains(text, "failed calling webhook"):
		return "see whether the admission webhook runs and the API server can reach it"
	case strings.Contains(text, "getting credentials: "):
		return fmt.Sprintf("see why the program that the kubeconfig of provider %q names for credentials fails", c.name)
	}
	return fmt.Sprintf("see whether the API server of provider %q runs and can be reached", c.name)
}

// admissionHint is for what a policy or a webhook of the cluster refuses, which each does
// with a reason of its own choice. It is empty for everything else.
func admissionHint(err error) string {
	text := err.Error()
	if strings.Contains(text, "admission webhook") || strings.Contains(text, "ValidatingAdmissionPolicy") {
		return "change what it objects to, or ask whoever runs it"
	}
	return ""
}

// forbiddenHint tells a lack of rights from a quota and from an admission webhook, which
// all forbid.
func forbiddenHint(err error) string {
	if hint := admissionHint(err); hint != "" {
		return hint
	}
	text := err.Error()
	switch {
	case isQuota(err):
		return "ask for less, or have the quota of the namespace raised"
	case strings.Contains(text, "violates PodSecurity"):
		return "declare what the Pod Security Standard of the namespace asks for"
	}
	return "give the worker's user the rights of docs/reference/kubernetes-role.yaml"
}

func conflictHint(err error) string {
	if apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
		return "have that manager give up the fields, or take them with force: true"
	}
	return ""
}

// IsImmutable says that a server refused to change a field that stays as it was made. A
// policy that does not want it changed would not want the object made anew either.
func IsImmutable(err error) bool {
	if !apierrors.IsInvalid(err) || admissionHint(err) != "" {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "immutable") || strings.Contains(text, "updates to statefulset spec for fields other than") || strings.Contains(text, "is forbidden after creation")
}
