package events

import (
	"context"
	"fmt"
	"sort"

	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// Places hold at which providers there may be something of an Infrastructure. A place
// is written down before anything is made there, and forgotten when the provider
// itself has said that nothing is there any more, so that one that does not answer
// is waited for where it matters, and only there.
type Places struct{ bucket jetstream.KeyValue }

// OpenPlaces opens the bucket; ErrNoStreams says that EnsureStreams never ran.
func OpenPlaces(ctx context.Context, js jetstream.JetStream) (*Places, error) {
	bucket, err := js.KeyValue(ctx, PlaceBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", PlaceBucket, missing(err))
	}
	return &Places{bucket: bucket}, nil
}

// Of returns the names of the providers at which there may be something, sorted.
func (p *Places) Of(ctx context.Context, scope schemas.Scope) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	names, err := list[string](ctx, p.bucket, scopeTokens(scope)+".*")
	sort.Strings(names)
	return names, err
}

// Add writes a place down; one that is known is no error.
func (p *Places) Add(ctx context.Context, scope schemas.Scope, provider string) error {
	return update(ctx, p.bucket, placeKey(scope, provider), func(known *string) *string {
		if known != nil {
			return nil
		}
		return &provider
	})
}

// Remove forgets a place; one that is not known is no error.
func (p *Places) Remove(ctx context.Context, scope schemas.Scope, provider string) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := p.bucket.Purge(ctx, placeKey(scope, provider)); err != nil {
		return fmt.Errorf("forget provider %s of %s: %w", provider, scope, err)
	}
	return nil
}

func placeKey(scope schemas.Scope, provider string) string {
	return scopeTokens(scope) + "." + provider
}
