package workflows

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// creates are operations that make n Networks.
func creates(n int, after ...string) []schemas.Operation {
	operations := make([]schemas.Operation, n)
	for i := range operations {
		operations[i] = create(fmt.Sprintf("r%04d", i), after...)
	}
	return operations
}

func TestOperationsThatAreReadyRunSideBySide(t *testing.T) {
	w := newWorld(t)
	w.plans[2] = planOf(schemas.OnFailureRollback, creates(parallelism+20)...)
	w.apply = func(context.Context, activities.ApplyInput) error {
		w.await(t, func() bool {
			w.mutex.Lock()
			defer w.mutex.Unlock()
			return w.most >= parallelism
		}, "less runs at a time than may")
		return nil
	}
	require.NoError(t, w.deploy(0))
	require.Equal(t, parallelism, w.most)
	require.Empty(t, w.batches, "each is an activity of its own")
	w.requireStory(t)
}

func TestALargePlanRunsInBatches(t *testing.T) {
	w := newWorld(t)
	operations := append(creates(3000, "first"), create("first"))
	last := create("last")
	for _, o := range operations {
		last.DependsOn = append(last.DependsOn, o.ID)
	}
	w.plans[2] = planOf(schemas.OnFailureRollback, append(operations, last)...)
	require.NoError(t, w.deploy(0))
	require.Greater(t, len(w.batches), 11)
	seen := map[string]bool{}
	for _, batch := range w.batches {
		require.LessOrEqual(t, len(batch), batchLimit)
		for _, id := range batch {
			require.False(t, seen[id], "%s runs twice", id)
			seen[id] = true
		}
	}
	require.Greater(t, len(seen), 2500)
	require.True(t, w.did("apply last of 2"))
	w.requireStory(t)
}

func TestWhatFailsInABatchFailsAlone(t *testing.T) {
	w := newWorld(t)
	operations := creates(400)
	operations = append(operations, create("needs-7", "r0007"), create("needs-8", "r0008"))
	w.plans[2] = planOf(schemas.OnFailureKeep, operations...)
	w.apply = func(_ context.Context, in activities.ApplyInput) error {
		if in.Resource == "r0007" {
			return fault(activities.Conflict, "r0007", "the port is taken")
		}
		return nil
	}
	require.ErrorContains(t, w.deploy(0), "the port is taken")
	require.Equal(t, 1, count(w.told(), "resource.failed r0007"))
	require.True(t, w.did("apply r0008 of 2"))
	require.False(t, w.did("apply needs-7 of 2"))
}

func TestAnOperationWithATimeoutIsInNoBatch(t *testing.T) {
	w := newWorld(t)
	operations := creates(300)
	operations[150].Timeout = quantity.Duration(time.Minute)
	w.plans[2] = planOf(schemas.OnFailureKeep, operations...)
	require.NoError(t, w.deploy(0))
	for _, batch := range w.batches {
		require.NotContains(t, batch, operations[150].ID)
	}
	require.True(t, w.did("apply r0150 of 2"))
}
