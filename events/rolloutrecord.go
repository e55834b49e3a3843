package events

import (
	"context"
	"sort"

	"windlass/schemas"
)

// rolloutKey is the key of the record of a rollout. Its two tokens after the scope
// keep it apart from the records of resources, which have one.
func rolloutKey(scope schemas.Scope, resource string) string {
	return scopeTokens(scope) + ".rollouts." + resource
}

// Rollouts returns the newest rollout of each Compute of one Infrastructure, by name.
func (r *Records) Rollouts(ctx context.Context, scope schemas.Scope) ([]schemas.RolloutRecord, error) {
	records, err := list[schemas.RolloutRecord](ctx, r.bucket, scopeTokens(scope)+".rollouts.*")
	sort.Slice(records, func(i, j int) bool { return records[i].Resource < records[j].Resource })
	return records, err
}

func rolloutRecord(old *schemas.RolloutRecord, e schemas.Event) *schemas.RolloutRecord {
	if old != nil && e.Sequence <= old.Sequence {
		return nil
	}
	next := schemas.RolloutRecord{RolloutStatus: *e.Rollout, Workflow: e.CorrelationID, Started: e.Time, Since: e.Time, Sequence: e.Sequence}
	if old != nil && e.Type != schemas.StatusRolloutStarted {
		next.Started = old.Started
	}
	return &next
}
