package events

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// Protections hold which resources may be neither deleted nor replaced, whatever
// documents say. They are kept for good.
type Protections struct{ bucket jetstream.KeyValue }

// OpenProtections opens the bucket; ErrNoStreams says that EnsureStreams never ran.
func OpenProtections(ctx context.Context, js jetstream.JetStream) (*Protections, error) {
	bucket, err := js.KeyValue(ctx, ProtectionBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", ProtectionBucket, missing(err))
	}
	return &Protections{bucket: bucket}, nil
}

// Of maps the resources of one Infrastructure of which something is recorded to
// whether they are protected.
func (p *Protections) Of(ctx context.Context, scope schemas.Scope) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	records, err := list[schemas.ProtectionRecord](ctx, p.bucket, scopeTokens(scope)+".*")
	if err != nil {
		return nil, err
	}
	protected := make(map[string]bool, len(records))
	for _, r := range records {
		protected[r.Resource] = r.Protected
	}
	return protected, nil
}

// Set records whether a resource is protected. The record of before stays where
// nothing changes, so that it tells which revision or command it was.
func (p *Protections) Set(ctx context.Context, record schemas.ProtectionRecord) error {
	return update(ctx, p.bucket, scopeTokens(record.Scope)+"."+record.Resource, func(old *schemas.ProtectionRecord) *schemas.ProtectionRecord {
		if old != nil && old.Protected == record.Protected {
			return nil
		}
		return &record
	})
}
