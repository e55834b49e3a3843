package events

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// publishTimeout bounds one publish: a server that went away is noticed only by
// silence.
const publishTimeout = 5 * time.Second

// Publisher publishes status events and keeps the records that they make.
type Publisher struct {
	js      jetstream.JetStream
	records *Records
}

// NewPublisher returns a publisher on that JetStream and those records.
func NewPublisher(js jetstream.JetStream, records *Records) *Publisher {
	return &Publisher{js: js, records: records}
}

// Publish publishes the events in order, waits for each to be stored, and then brings
// the records up to date. It stops at the first that fails; calling it again with the
// same events repeats none, since their ids are the same.
func (p *Publisher) Publish(ctx context.Context, batch []schemas.Event) error {
	for _, status := range batch {
		if err := p.publish(ctx, status); err != nil {
			return err
		}
	}
	return p.records.Apply(ctx, batch...)
}

func (p *Publisher) publish(ctx context.Context, status schemas.Event) error {
	scope, err := scopeOf(status)
	if err != nil {
		return err
	}
	e, err := cloudEvent(status)
	if err != nil {
		return err
	}
	message, err := Encode(StatusSubject(scope, status.Type), e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := p.js.PublishMsg(ctx, message, jetstream.WithExpectStream(StatusStream)); err != nil {
		return fmt.Errorf("publish %s of %s: %w", status.Type, status.Source, missing(err))
	}
	return nil
}
