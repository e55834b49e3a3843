package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"windlass/activities"
	"windlass/plan/rollout"
	"windlass/schemas"
)

// kindTimedOut is the kind of the failure of an operation that took longer than its
// resource's timeouts allow.
const kindTimedOut = "TimedOut"

// timedOut tells of an operation that took longer than its document allows, with
// what the last attempt failed with.
func timedOut(o schemas.Operation, err error) error {
	if o.Timeout == 0 || !ranOutOfTime(err) {
		return err
	}
	return overdue(o, lastAttempt(err))
}

// overdue is the error of an operation that took longer than its document allows.
func overdue(o schemas.Operation, detail string) error {
	field := string(o.Action)
	if o.Action == schemas.ActionReplace {
		field = string(schemas.ActionUpdate)
	}
	message := fmt.Sprintf("%s did not end within %s%s", o.ID, time.Duration(o.Timeout), detail)
	failure := schemas.Failure{Kind: kindTimedOut, Resource: o.Resource, Field: "timeouts." + field, Message: message, Hint: "give it more time, or look at what holds it up"}
	return temporal.NewNonRetryableApplicationError(message, kindTimedOut, nil, failure)
}

// tooLongPull tells of an image that was not there within the progress deadline of the
// rollout that needs it.
func tooLongPull(p activities.PullInput, err error) error {
	failure := schemas.Failure{
		Kind: rollout.KindDeadline, Resource: p.Resource, Message: fmt.Sprintf("image %s was not pulled within %s%s", p.Image, time.Duration(p.Timeout), lastAttempt(err)),
		Hint: "see whether its registry answers, or give the rollout more time with strategy.progressDeadlineSeconds",
	}
	return temporal.NewNonRetryableApplicationError(failure.Message, failure.Kind, nil, failure)
}

// lastAttempt tells what an attempt failed with before time ran out; empty is nothing.
func lastAttempt(err error) string {
	var last *temporal.ApplicationError
	if errors.As(err, &last) {
		return "; the last attempt failed with: " + activities.FailureOf(last).Message
	}
	return ""
}

// ranOutOfTime says whether time ended an activity: an attempt was cut off, or there
// was none left for another one. Nothing else ends one that a retry can help.
func ranOutOfTime(err error) bool {
	var timeout *temporal.TimeoutError
	var failed *temporal.ApplicationError
	return errors.As(err, &timeout) || errors.As(err, &failed) && !failed.NonRetryable()
}
