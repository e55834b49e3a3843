package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// FollowOptions say which status events to read and from when on.
type FollowOptions struct {
	// Scope is the Infrastructure to follow; nil follows all.
	Scope *schemas.Scope
	// Types are full event types; empty means all.
	Types []string
	// All starts with the oldest event that is kept; otherwise Since is the time to
	// start at, and zero means new events only.
	All   bool
	Since time.Time
}

// Status is a status event as it was received.
type Status struct {
	schemas.Event
	// Raw is the event in structured form.
	Raw            []byte
	StreamSequence uint64
	// Pending is how many events of the selection wait behind this one.
	Pending uint64
}

// Follower reads status events in order, each once, across reconnects.
type Follower struct {
	messages jetstream.MessagesContext
}

// Follow starts reading; what is published after it returned is not missed. The
// caller closes the follower.
func Follow(ctx context.Context, js jetstream.JetStream, o FollowOptions) (*Follower, error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: filters(o), DeliverPolicy: jetstream.DeliverNewPolicy}
	switch {
	case o.All:
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	case !o.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	default:
		// "New" would be decided anew whenever the consumer is made again, so it is
		// pinned to the sequence that comes next.
		stream, err := js.Stream(ctx, StatusStream)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", StatusStream, missing(err))
		}
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, stream.CachedInfo().State.LastSeq+1
	}
	consumer, err := js.OrderedConsumer(ctx, StatusStream, config)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", StatusStream, missing(err))
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", StatusStream, missing(err))
	}
	return &Follower{messages: messages}, nil
}

func filters(o FollowOptions) []string {
	scope := "*.*"
	if o.Scope != nil {
		scope = scopeTokens(*o.Scope)
	}
	if len(o.Types) == 0 {
		return []string{statusRoot + scope + ".>"}
	}
	subjects := make([]string, len(o.Types))
	for i, t := range o.Types {
		subjects[i] = statusRoot + scope + "." + schemas.ShortType(t)
	}
	return subjects
}

// Next waits for the next event. It returns the context's error when that ends.
func (f *Follower) Next(ctx context.Context) (Status, error) {
	for {
		message, err := f.messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			if ctx.Err() != nil {
				return Status{}, ctx.Err()
			}
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				continue // the consumer makes itself anew
			}
			return Status{}, fmt.Errorf("follow %s: %w", StatusStream, err)
		}
		metadata, err := message.Metadata()
		if err != nil {
			return Status{}, fmt.Errorf("follow %s: %w", StatusStream, err)
		}
		status, err := ReadStatus(message.Data())
		if err != nil {
			continue // a type of a newer release
		}
		return Status{Event: status, Raw: message.Data(), StreamSequence: metadata.Sequence.Stream, Pending: metadata.NumPending}, nil
	}
}

// Close ends the follower.
func (f *Follower) Close() { f.messages.Stop() }
