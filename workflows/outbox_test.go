package workflows

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// NATS is away for a while: the deployment goes on, and what happened is told
// afterwards, in order and with the identities that it had at first.
func TestTheWorkDoesNotWaitForTheBus(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("backend"), create("web", "backend"))
	var attempts []schemas.Event
	w.publish = func(batch []schemas.Event) error {
		attempts = append(attempts, batch...)
		if len(attempts) < 9 || !w.did("apply web of 2") {
			return errors.New("nats: no responders")
		}
		return nil
	}
	require.NoError(t, w.deploy(1))
	require.Equal(t, []string{
		"command.accepted", "deployment.started", "deployment.planned", "resource.creating backend", "resource.ready backend", "resource.creating web", "resource.ready web", "deployment.succeeded",
	}, w.told())
	w.requireStory(t)
	identities := map[string]string{}
	for _, e := range attempts {
		identity := e.Source + " " + e.Sequence
		require.Contains(t, []string{"", e.ID}, identities[identity], "a retry changes the id")
		identities[identity] = e.ID
	}
}

func TestARunDoesNotEndBeforeItsLastEventIsOut(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, create("backend"))
	tried := 0
	w.publish = func(batch []schemas.Event) error {
		require.False(t, w.IsWorkflowCompleted(), "the run ended")
		if slices.ContainsFunc(batch, func(e schemas.Event) bool { return e.Type == schemas.StatusDeploymentSucceeded }) {
			if tried++; tried < 9 {
				return errors.New("nats: no responders")
			}
		}
		return nil
	}
	require.NoError(t, w.deploy(1))
	require.Equal(t, 9, tried)
	require.Equal(t, "deployment.succeeded", w.told()[len(w.told())-1])
}

func TestNoRetryHasALimit(t *testing.T) {
	for _, longest := range []time.Duration{5 * time.Second, 30 * time.Second} {
		policy := retries(longest)
		require.Zero(t, policy.MaximumAttempts)
		require.Empty(t, policy.NonRetryableErrorTypes)
		require.Equal(t, longest, policy.MaximumInterval)
	}
}

func TestBatchesStayFarBelowThePayloadLimit(t *testing.T) {
	w := newWorld(t)
	var operations []schemas.Operation
	for r := range 120 {
		operations = append(operations, create(string(rune('a'+r/26))+string(rune('a'+r%26))))
	}
	w.plans[2] = planOf(schemas.OnFailureRollback, operations...)
	w.publish = func(batch []schemas.Event) error {
		require.LessOrEqual(t, len(batch), publishBatch)
		return nil
	}
	require.NoError(t, w.deploy(1))
	require.Len(t, w.told(), 3+2*120+1)
	w.requireStory(t)
}

func TestABatchOfEventsIsBoundedByWhatItHolds(t *testing.T) {
	plain := schemas.Event{Resource: &schemas.ResourceStatus{}}
	evidence := schemas.Event{Resource: &schemas.ResourceStatus{Error: &schemas.Failure{}}}
	repeated := func(e schemas.Event, n int) []schemas.Event { return slices.Repeat([]schemas.Event{e}, n) }
	require.Equal(t, 3, fitting(repeated(plain, 3)))
	require.Equal(t, publishBatch, fitting(repeated(plain, 2000)))
	require.Equal(t, publishBatch/(1+evidenceWeight), fitting(repeated(evidence, 2000)))
	require.Equal(t, 1, fitting(repeated(evidence, 1)))
}
