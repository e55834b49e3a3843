package events

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// Replay brings the records of one Infrastructure up to date with every status event
// of it that the stream still has. Records that are newer stay as they are.
func (r *Records) Replay(ctx context.Context, js jetstream.JetStream, scope schemas.Scope) error {
	stream, err := js.Stream(ctx, StatusStream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", StatusStream, missing(err))
	}
	for next := uint64(1); ; {
		message, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(statusRoot+scopeTokens(scope)+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read status events of %s: %w", scope, err)
		}
		next = message.Sequence + 1
		event, err := ReadStatus(message.Data)
		if err != nil {
			continue // not one of ours; others may publish there too
		}
		if err := r.Apply(ctx, event); err != nil {
			return err
		}
	}
}

// Correct makes the records say what was found: records of resources that are not
// there go, others are made or changed where they say something else. The record of
// the Infrastructure is only made where there is none.
func (r *Records) Correct(ctx context.Context, found schemas.InfrastructureRecord, resources []schemas.ResourceRecord) error {
	key := scopeTokens(found.Scope)
	err := update(ctx, r.bucket, key, func(old *schemas.InfrastructureRecord) *schemas.InfrastructureRecord {
		if old != nil {
			return nil
		}
		return &found
	})
	if err != nil {
		return err
	}
	known, err := r.Resources(ctx, found.Scope)
	if err != nil {
		return err
	}
	for _, record := range known {
		if slices.ContainsFunc(resources, func(f schemas.ResourceRecord) bool { return f.Resource == record.Resource }) {
			continue
		}
		if err := r.bucket.Purge(ctx, key+"."+record.Resource); err != nil {
			return fmt.Errorf("record %s.%s: %w", key, record.Resource, err)
		}
	}
	for _, resource := range resources {
		err := update(ctx, r.bucket, key+"."+resource.Resource, func(old *schemas.ResourceRecord) *schemas.ResourceRecord {
			return corrected(old, resource)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// corrected keeps what only events tell, such as since when; nil is no change.
func corrected(old *schemas.ResourceRecord, found schemas.ResourceRecord) *schemas.ResourceRecord {
	if old == nil {
		return &found
	}
	if old.State == found.State && old.Type == found.Type && old.Provider == found.Provider && old.Revision == found.Revision {
		return nil
	}
	found.Sequence = max(old.Sequence, found.Sequence)
	return &found
}
