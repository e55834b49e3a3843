package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// The headers that a dead letter has beside those of the command itself.
const (
	ownHeaders         = "Windlass-"
	deadLetterReason   = ownHeaders + "Reason"
	deadLetterSubject  = ownHeaders + "Subject"
	deadLetterSequence = ownHeaders + "Sequence"
	// deadLetterCut says where the body is when the letter could not hold it.
	deadLetterCut = ownHeaders + "Cut"
)

// serverHeaders start the names of headers that tell the server what to do with a
// message, such as to refuse it after another one. They were obeyed already.
const serverHeaders = "nats-"

// deadLetter keeps a message that cannot be served: its body and headers as they
// were, with the reason, the subject and, when known, the stream sequence.
func deadLetter(ctx context.Context, js jetstream.JetStream, scope schemas.Scope, key string, original *nats.Msg, sequence uint64, faults schemas.Faults) error {
	letter := nats.NewMsg(DeadLetterSubject(scope))
	letter.Header.Set(nats.MsgIdHdr, "deadletter-"+key)
	letter.Header.Set(deadLetterReason, headerText(faults.Error()))
	letter.Header.Set(deadLetterSubject, headerText(original.Subject))
	if sequence > 0 {
		letter.Header.Set(deadLetterSequence, fmt.Sprint(sequence))
	}
	whole := nats.NewMsg(letter.Subject)
	whole.Data = original.Data
	for name, values := range original.Header {
		if !strings.HasPrefix(strings.ToLower(name), serverHeaders) {
			whole.Header[name] = values
		}
	}
	maps.Copy(whole.Header, letter.Header)
	err := publishLetter(ctx, js, whole)
	if errors.Is(err, nats.ErrMaxPayload) {
		// With the reason added a message can be larger than the server takes. The
		// original stays in the stream of commands for as long.
		letter.Header.Set(deadLetterCut, fmt.Sprintf("the %d bytes of the command do not fit; they are message %d of %s", len(original.Data), sequence, CommandStream))
		err = publishLetter(ctx, js, letter)
	}
	if err != nil {
		return fmt.Errorf("write dead letter: %w", missing(err))
	}
	return nil
}

func publishLetter(ctx context.Context, js jetstream.JetStream, letter *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := js.PublishMsg(ctx, letter, jetstream.WithExpectStream(DeadLetterStream))
	return err
}

// letterKey is the same for each try to write the dead letter of one message. The
// identity of the event would not do: a careless publisher gives two the same, and
// the second letter would be dropped.
func letterKey(sequence uint64) string { return fmt.Sprintf("%s-%d", CommandStream, sequence) }

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
	return deadLetter(ctx, js, reference.Scope, letterKey(reference.Sequence), original, reference.Sequence, faults)
}
