package events

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// The headers that a dead letter has beside those of the command itself.
const (
	deadLetterReason   = "Windlass-Reason"
	deadLetterSubject  = "Windlass-Subject"
	deadLetterSequence = "Windlass-Sequence"
)

// deadLetter keeps a message that cannot be served: its body and headers as they
// were, with the reason, the subject and, when known, the stream sequence.
func deadLetter(ctx context.Context, js jetstream.JetStream, scope schemas.Scope, key string, original *nats.Msg, sequence uint64, faults schemas.Faults) error {
	letter := nats.NewMsg(DeadLetterSubject(scope))
	letter.Data = original.Data
	letter.Header = nats.Header{}
	maps.Copy(letter.Header, original.Header)
	letter.Header.Set(nats.MsgIdHdr, "deadletter-"+key)
	letter.Header.Set(deadLetterReason, headerText(faults.Error()))
	letter.Header.Set(deadLetterSubject, original.Subject)
	if sequence > 0 {
		letter.Header.Set(deadLetterSequence, fmt.Sprint(sequence))
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := js.PublishMsg(ctx, letter, jetstream.WithExpectStream(DeadLetterStream)); err != nil {
		return fmt.Errorf("write dead letter: %w", missing(err))
	}
	return nil
}

// headerText fits a text into one header line of at most 2 KiB.
func headerText(text string) string {
	const most = 2048
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// DeadLetter keeps an accepted command that turned out to be unservable.
func (r *Revision) DeadLetter(ctx context.Context, js jetstream.JetStream, reference schemas.CommandReference, faults schemas.Faults) error {
	original := nats.NewMsg(CommandSubject(reference.Scope, reference.Type))
	original.Header.Set(contentTypeHeader, structuredType)
	original.Data = r.Event
	return deadLetter(ctx, js, reference.Scope, reference.Key, original, reference.Sequence, faults)
}
