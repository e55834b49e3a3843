package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"windlass/schemas"
)

// maxAttempts bounds the retries of a failure of which nobody knows whether a
// retry helps; one that is Unavailable is retried without limit.
const maxAttempts = 5

// kindInternal is the kind of a failure that no provider has classified.
const kindInternal = "Internal"

// at fills in where a fault lies, if it does not say so itself.
func at(err error, resource, field string) error {
	var fault *Fault
	if !errors.As(err, &fault) {
		if err != nil && resource != "" {
			return fmt.Errorf("%s: %w", resource, err)
		}
		return err
	}
	located := *fault
	if located.Resource == "" {
		located.Resource = resource
	}
	if located.Field == "" {
		located.Field = field
	}
	return &located
}

// failed turns an error into what Temporal records: its type is the kind, its
// details are a schemas.Failure, and a retry is forbidden where it cannot help.
// Nothing that was revealed is in it.
func (a *Activities) failed(ctx context.Context, revision Revision, secrets Secrets, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		// Cancelled, or cut off: the worker stops, or Temporal did not answer for a
		// while. What was broken off says nothing, so it is not counted as a failure.
		return ctx.Err()
	}
	failure, permanent := a.classify(ctx, revision, secrets, err)
	return temporal.NewApplicationErrorWithOptions(describe(failure), failure.Kind, temporal.ApplicationErrorOptions{
		NonRetryable: permanent,
		Details:      []any{failure},
	})
}

// classify turns an error into what is told of it, and says whether a retry cannot
// help. Nothing that was revealed is in it.
func (a *Activities) classify(ctx context.Context, revision Revision, secrets Secrets, err error) (failure schemas.Failure, permanent bool) {
	failure = schemas.Failure{Kind: kindInternal, Message: secrets.Redact(err.Error())}
	permanent = activity.GetInfo(ctx).Attempt >= maxAttempts
	var fault *Fault
	if errors.As(err, &fault) {
		permanent = fault.Kind.Permanent()
		failure = schemas.Failure{
			Kind: string(fault.Kind), Resource: fault.Resource, Field: fault.Field,
			Message: secrets.Redact(fault.Message), Hint: secrets.Redact(fault.Hint), Evidence: redacted(fault.Evidence, secrets),
		}
	}
	a.locate(ctx, revision, &failure)
	if fault != nil && fault.Err != nil {
		a.Logger.Warn("activity failed", "kind", failure.Kind, "resource", failure.Resource, "message", failure.Message, "cause", secrets.Redact(fault.Err.Error()))
	}
	return failure, permanent
}

func describe(f schemas.Failure) string {
	fault := Fault{Resource: f.Resource, Field: f.Field, Message: f.Message, Hint: f.Hint}
	return fault.Error()
}

func redacted(e *schemas.Evidence, secrets Secrets) *schemas.Evidence {
	if e == nil {
		return nil
	}
	clean := *e
	clean.Health = secrets.Redact(e.Health)
	clean.Logs = slices.Clone(e.Logs)
	for i := range clean.Logs {
		clean.Logs[i] = secrets.Redact(clean.Logs[i])
	}
	return &clean
}

// locate gives a failure its field in the document and the line where that stands.
func (a *Activities) locate(ctx context.Context, revision Revision, failure *schemas.Failure) {
	if revision.Reference == "" || failure.Resource == "" || failure.Field == "" {
		return
	}
	stored, err := a.Revisions.Get(ctx, revision.Reference)
	if err != nil || stored.Infrastructure == nil {
		return
	}
	index := slices.IndexFunc(stored.Infrastructure.Spec.Resources, func(r schemas.Resource) bool { return r.Name == failure.Resource })
	if index < 0 {
		return
	}
	failure.Field = fmt.Sprintf("spec.resources[%d].%s", index, failure.Field)
	if command, err := stored.Command(); err == nil {
		failure.Field, failure.Line = command.Field(failure.Field), command.Place(failure.Field).Line
	}
}

// FailureOf reads the failure that an activity's error carries; an error of
// another origin becomes one of kind Internal.
func FailureOf(err error) schemas.Failure {
	var application *temporal.ApplicationError
	var failure schemas.Failure
	if errors.As(err, &application) {
		if application.HasDetails() && application.Details(&failure) == nil && failure.Message != "" {
			return failure
		}
		return schemas.Failure{Kind: kindInternal, Message: application.Message()}
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return schemas.Failure{Kind: string(Unavailable), Message: "it did not end in time (" + timeout.Message() + ")"}
	}
	return schemas.Failure{Kind: kindInternal, Message: err.Error()}
}
