package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// Key is the identity of an event, the same for each of its copies: a hash of
// source and id, since an id is unique within its source only.
func Key(source, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s", len(source), source, id))
	return hex.EncodeToString(sum[:16])
}

// NewCommand makes a command with a fresh id, the time now and the source
// "/windlass/cli".
func NewCommand(eventType string, data any) (event.Event, error) {
	e := event.New()
	e.SetID(uuid.NewString())
	e.SetSource("/windlass/cli")
	e.SetType(eventType)
	e.SetTime(time.Now())
	return e, setData(&e, data)
}

// setData sets JSON data; the SDK would store bytes as base64.
func setData(e *event.Event, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("data of event %q: %w", e.ID(), err)
	}
	return e.SetData(event.ApplicationJSON, json.RawMessage(text))
}

// Receipt is what JetStream says of a command that it stored.
type Receipt struct {
	Sequence uint64
	// Duplicate says that a command with the same source and id was stored before.
	Duplicate bool
}

// PublishCommand publishes a command for that scope and waits until JetStream
// has stored it. Silence is answered with the same command again, which is stored
// once, until the context ends. ErrNoStreams says that nobody has prepared the
// server yet.
func PublishCommand(ctx context.Context, js jetstream.JetStream, scope schemas.Scope, e event.Event) (Receipt, error) {
	message, err := Encode(CommandSubject(scope, e.Type()), e)
	if err != nil {
		return Receipt{}, err
	}
	for {
		ack, err := publishOnce(ctx, js, message)
		if err == nil {
			return Receipt{Sequence: ack.Sequence, Duplicate: ack.Duplicate}, nil
		}
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return Receipt{}, fmt.Errorf("publish command for %s: %w", scope, missing(err))
		}
	}
}

func publishOnce(ctx context.Context, js jetstream.JetStream, message *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return js.PublishMsg(ctx, message, jetstream.WithExpectStream(CommandStream))
}

// IsRequested says whether a deployment of the scope is among the commands that the
// stream still has.
func IsRequested(ctx context.Context, js jetstream.JetStream, scope schemas.Scope) (bool, error) {
	stream, err := js.Stream(ctx, CommandStream)
	if err != nil {
		return false, fmt.Errorf("stream %s: %w", CommandStream, missing(err))
	}
	_, err = stream.GetLastMsgForSubject(ctx, CommandSubject(scope, schemas.CommandDeploymentRequested))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}
