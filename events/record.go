package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"windlass/schemas"
)

// Records hold the last known status of infrastructures and resources. They are
// made from status events and are a view for people: losing them loses nothing
// that the events do not tell again.
type Records struct{ bucket jetstream.KeyValue }

// OpenRecords opens the bucket; ErrNoStreams says that EnsureStreams never ran.
func OpenRecords(ctx context.Context, js jetstream.JetStream) (*Records, error) {
	bucket, err := js.KeyValue(ctx, RecordBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", RecordBucket, missing(err))
	}
	return &Records{bucket: bucket}, nil
}

// applyParallelism bounds the records that are written at a time.
const applyParallelism = 16

// Apply brings the records that the events concern up to date, each record once. An
// event older than its record changes nothing, so applying one twice is harmless.
func (r *Records) Apply(ctx context.Context, batch ...schemas.Event) error {
	var deployments, resources = map[schemas.Scope][]schemas.Event{}, map[string][]schemas.Event{}
	revisions, rollouts, containers := map[string][]schemas.Event{}, map[string][]schemas.Event{}, map[string][]schemas.Event{}
	for _, e := range batch {
		switch {
		case e.Deployment != nil:
			deployments[e.Deployment.Scope] = append(deployments[e.Deployment.Scope], e)
			key := revisionKey(e.Deployment.Scope, e.Deployment.Revision)
			revisions[key] = append(revisions[key], e)
		case e.Resource != nil && e.Type != schemas.StatusResourceUnprotected:
			key := scopeTokens(e.Resource.Scope) + "." + e.Resource.Resource
			resources[key] = append(resources[key], e)
		case e.Rollout != nil:
			key := rolloutKey(e.Rollout.Scope, e.Rollout.Resource)
			rollouts[key] = append(rollouts[key], e)
		case e.Container != nil:
			key := containerKey(e.Container.Environment, e.Container.Container)
			containers[key] = append(containers[key], e)
		}
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(applyParallelism)
	for scope, events := range deployments {
		group.Go(func() error { return follow(groupContext, r.bucket, scopeTokens(scope), events, infrastructureRecord) })
	}
	for key, events := range revisions {
		group.Go(func() error { return follow(groupContext, r.bucket, key, events, revisionRecord) })
	}
	for key, events := range resources {
		group.Go(func() error { return follow(groupContext, r.bucket, key, events, resourceRecord) })
	}
	for key, events := range rollouts {
		group.Go(func() error { return follow(groupContext, r.bucket, key, events, rolloutRecord) })
	}
	for key, events := range containers {
		group.Go(func() error { return follow(groupContext, r.bucket, key, events, containerRecord) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, e := range batch {
		// One that left something out says nothing of what it left out.
		if e.Type == schemas.StatusDeploymentSucceeded && !e.Deployment.Partial && len(e.Deployment.Skipped) == 0 {
			if err := r.forgetDrifted(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetDrifted drops the records of resources that had drifted before a deployment
// that succeeded and that it did not touch: they are gone, and not declared any more.
func (r *Records) forgetDrifted(ctx context.Context, e schemas.Event) error {
	resources, err := r.Resources(ctx, e.Deployment.Scope)
	if err != nil {
		return err
	}
	for _, resource := range resources {
		if resource.State != schemas.ResourceDrifted || resource.Sequence > e.Sequence {
			continue
		}
		key := scopeTokens(resource.Scope) + "." + resource.Resource
		if err := r.bucket.Purge(ctx, key); err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
	}
	return nil
}

// follow replaces a record by what the events make of it, one after the other.
func follow[T any](ctx context.Context, bucket jetstream.KeyValue, key string, events []schemas.Event, next func(old *T, e schemas.Event) *T) error {
	return update(ctx, bucket, key, func(old *T) *T {
		var changed *T
		for _, e := range events {
			if n := next(old, e); n != nil {
				old, changed = n, n
			}
		}
		return changed
	})
}

// update replaces a record by what change makes of it (nil: no change), again
// when somebody else was faster.
func update[T any](ctx context.Context, bucket jetstream.KeyValue, key string, change func(old *T) *T) error {
	for {
		old, revision, err := get[T](ctx, bucket, key)
		if err != nil {
			return err
		}
		next := change(old)
		if next == nil {
			return nil
		}
		text, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
		err = put(ctx, bucket, key, text, revision)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) || errors.Is(err, jetstream.ErrKeyExists) {
			continue
		}
		if err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
		return nil
	}
}

// put writes a record that was read at that revision. 0 is a record that is not
// there, perhaps since somebody deleted it.
func put(ctx context.Context, bucket jetstream.KeyValue, key string, text []byte, revision uint64) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if revision == 0 {
		_, err := bucket.Create(ctx, key, text)
		return err
	}
	_, err := bucket.Update(ctx, key, text, revision)
	return err
}

func get[T any](ctx context.Context, bucket jetstream.KeyValue, key string) (*T, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	entry, err := bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("record %s: %w", key, err)
	}
	var value T
	if err := json.Unmarshal(entry.Value(), &value); err != nil {
		return nil, entry.Revision(), fmt.Errorf("record %s: %w", key, err)
	}
	return &value, entry.Revision(), nil
}

// Infrastructure returns the record of one Infrastructure, or nil.
func (r *Records) Infrastructure(ctx context.Context, scope schemas.Scope) (*schemas.InfrastructureRecord, error) {
	record, _, err := get[schemas.InfrastructureRecord](ctx, r.bucket, scopeTokens(scope))
	return record, err
}

// Infrastructures returns every record of an Infrastructure, by environment and name.
func (r *Records) Infrastructures(ctx context.Context) ([]schemas.InfrastructureRecord, error) {
	records, err := list[schemas.InfrastructureRecord](ctx, r.bucket, "*.*")
	sort.Slice(records, func(i, j int) bool { return records[i].String() < records[j].String() })
	return records, err
}

// Resources returns the records of the resources of one Infrastructure, by name,
// without those that were deleted.
func (r *Records) Resources(ctx context.Context, scope schemas.Scope) ([]schemas.ResourceRecord, error) {
	all, err := list[schemas.ResourceRecord](ctx, r.bucket, scopeTokens(scope)+".*")
	records := all[:0]
	for _, record := range all {
		if record.State != schemas.ResourceDeleted {
			records = append(records, record)
		}
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Resource < records[j].Resource })
	return records, err
}

func list[T any](ctx context.Context, bucket jetstream.KeyValue, keys string) ([]T, error) {
	watcher, err := bucket.Watch(ctx, keys, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("records %s: %w", keys, err)
	}
	defer func() { _ = watcher.Stop() }()
	values := []T{}
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("records %s: %w", keys, ctx.Err())
		case entry := <-watcher.Updates():
			if entry == nil {
				return values, nil
			}
			var value T
			if err := json.Unmarshal(entry.Value(), &value); err != nil {
				return nil, fmt.Errorf("record %s: %w", entry.Key(), err)
			}
			values = append(values, value)
		}
	}
}

func infrastructureRecord(old *schemas.InfrastructureRecord, e schemas.Event) *schemas.InfrastructureRecord {
	d := e.Deployment
	next := schemas.InfrastructureRecord{Scope: d.Scope}
	if old != nil {
		if e.Sequence <= old.Sequence {
			return nil
		}
		next = *old
	}
	next.Sequence = e.Sequence
	next.Revision = d.Revision
	next.Deployment = e.CorrelationID
	next.Since = e.Time
	next.Error, next.Decisions = d.Error, d.Decisions
	next.State = stateAfter(e)
	switch next.State {
	case schemas.InfrastructureReady:
		if len(d.Skipped) == 0 && !d.Partial {
			next.Stable = d.Revision
		}
	case schemas.InfrastructureDestroyed:
		next.Stable = 0
	}
	return &next
}

// stateAfter is the state of an Infrastructure after an event of its deployment.
func stateAfter(e schemas.Event) schemas.InfrastructureState {
	d := e.Deployment
	switch e.Type {
	case schemas.StatusDeploymentSucceeded:
		if d.Destroy {
			return schemas.InfrastructureDestroyed
		}
		return schemas.InfrastructureReady
	case schemas.StatusDeploymentFailed:
		if d.Final {
			return schemas.InfrastructureFailed
		}
		return schemas.InfrastructureRollingBack
	case schemas.StatusDeploymentRolledBack:
		return schemas.InfrastructureRolledBack
	case schemas.StatusDeploymentPaused:
		return schemas.InfrastructurePaused
	case schemas.StatusDeploymentCancelled:
		return schemas.InfrastructureCancelled
	}
	if d.Destroy {
		return schemas.InfrastructureDestroying
	}
	return schemas.InfrastructureDeploying
}

func resourceRecord(old *schemas.ResourceRecord, e schemas.Event) *schemas.ResourceRecord {
	s := e.Resource
	if old != nil && e.Sequence <= old.Sequence {
		return nil
	}
	// What had the name before, as another type or elsewhere, may go later than what
	// took it came.
	if old != nil && (old.Type != s.Type || old.Provider != s.Provider) && old.State != schemas.ResourceDeleted && e.Type != schemas.StatusResourceCreating {
		return nil
	}
	next := schemas.ResourceRecord{
		Scope: s.Scope, Resource: s.Resource, Type: s.Type, Provider: s.Provider,
		State:    schemas.ResourceState(strings.TrimPrefix(schemas.ShortType(e.Type), "resource.")),
		Revision: s.Revision, DependsOn: s.DependsOn, Cause: s.Cause,
		Outputs: s.Outputs, Error: s.Error, Since: e.Time, Sequence: e.Sequence,
	}
	if old != nil && next.Outputs == nil && next.State != schemas.ResourceDeleted {
		next.Outputs = old.Outputs
	}
	return &next
}
