package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

const (
	// ackWait is how long JetStream waits before it gives a command to another
	// trigger; the one that works on it says so three times in that time.
	ackWait = 10 * time.Second
	// lanes work side by side. All commands of one Infrastructure share a lane, so
	// that they stay in order.
	lanes = 32
	// maxInFlight bounds the commands that are fetched but not acknowledged.
	maxInFlight = 256
)

// Starter brings an accepted command to the workflow that serves it. It must be
// idempotent: the same command may be started more than once. Every error counts
// as transient and is retried without limit.
type Starter interface {
	Start(ctx context.Context, command schemas.CommandReference) error
}

// Trigger takes commands from the stream, each at least once and in order per
// Infrastructure, checks them, and starts what they ask for. What is invalid ends
// as a rejected event and a dead letter. What another trigger held that stopped or
// died comes again later, and so out of turn: a command's sequence tells its place.
type Trigger struct {
	js        jetstream.JetStream
	publisher *Publisher
	revisions *Revisions
	starter   Starter
	logger    *slog.Logger

	mutex    sync.Mutex
	inFlight map[jetstream.Msg]struct{}
}

// NewTrigger returns a trigger that Run sets to work.
func NewTrigger(js jetstream.JetStream, publisher *Publisher, revisions *Revisions, starter Starter, logger *slog.Logger) *Trigger {
	return &Trigger{js: js, publisher: publisher, revisions: revisions, starter: starter, logger: logger, inFlight: map[jetstream.Msg]struct{}{}}
}

// Run serves commands until the context ends, and returns nil then. What was
// fetched but not served is handed back for the next trigger.
func (t *Trigger) Run(ctx context.Context) error {
	consumer, err := t.js.CreateOrUpdateConsumer(ctx, CommandStream, jetstream.ConsumerConfig{
		Durable: TriggerConsumer, Description: "Starts a workflow for each command",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: maxInFlight,
	})
	if err != nil {
		return fmt.Errorf("trigger: %w", missing(err))
	}
	var work sync.WaitGroup
	queues := make([]chan jetstream.Msg, lanes)
	for i := range queues {
		queues[i] = make(chan jetstream.Msg, maxInFlight)
		work.Go(func() { t.lane(ctx, queues[i]) })
	}
	work.Go(func() { t.keepAlive(ctx) })

	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		t.mutex.Lock()
		t.inFlight[m] = struct{}{}
		t.mutex.Unlock()
		queues[laneOf(m.Subject())] <- m
	}, jetstream.PullMaxMessages(maxInFlight/2), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		t.logger.Warn("the stream of commands is not in reach; trying again", "error", err)
	}))
	if err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	<-ctx.Done()
	consuming.Drain()
	<-consuming.Closed()
	for _, queue := range queues {
		close(queue)
	}
	work.Wait()
	t.handBack()
	return nil
}

// handBack gives what was fetched and not served to the next trigger. It comes after
// the end of the subscription, which could get it again otherwise, and then nobody
// would before ackWait is over.
func (t *Trigger) handBack() {
	sequence := func(m jetstream.Msg) uint64 {
		metadata, err := m.Metadata()
		if err != nil {
			return 0
		}
		return metadata.Sequence.Stream
	}
	unserved := slices.SortedFunc(maps.Keys(t.inFlight), func(a, b jetstream.Msg) int { return cmp.Compare(sequence(a), sequence(b)) })
	for _, message := range unserved {
		_ = message.Nak() // harmless when it was acknowledged already
	}
	clear(t.inFlight)
}

func laneOf(subject string) int {
	scope, _, _ := parseCommandSubject(subject)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(scopeTokens(scope)))
	return int(hash.Sum32() % lanes)
}

func (t *Trigger) lane(ctx context.Context, queue <-chan jetstream.Msg) {
	for message := range queue {
		if ctx.Err() == nil && t.serve(ctx, message) {
			t.mutex.Lock()
			delete(t.inFlight, message)
			t.mutex.Unlock()
		}
	}
}

// keepAlive tells JetStream that the fetched commands are being worked on.
func (t *Trigger) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(ackWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.mutex.Lock()
			for message := range t.inFlight {
				_ = message.InProgress()
			}
			t.mutex.Unlock()
		}
	}
}

// serve works on one command until it is started or refused, or until the context
// ends, which it reports as false. Trouble on the way,
// such as a Temporal server that is away, is waited out with backoff, so that
// later commands of the same Infrastructure do not overtake.
func (t *Trigger) serve(ctx context.Context, message jetstream.Msg) bool {
	const longest = 5 * time.Second
	wait := 100 * time.Millisecond
	for {
		err := t.attempt(ctx, message)
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		t.logger.Warn("a command waits", "subject", message.Subject(), "error", err, "retryIn", wait)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

func (t *Trigger) attempt(ctx context.Context, message jetstream.Msg) error {
	metadata, err := message.Metadata()
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	command, err := t.accept(ctx, message, metadata)
	var faults schemas.Faults
	if errors.As(err, &faults) {
		return t.reject(ctx, message, metadata, command, faults)
	}
	if err != nil {
		return err
	}
	if err := t.starter.Start(ctx, command); err != nil {
		return fmt.Errorf("start %s: %w", command.Scope, err)
	}
	t.logger.Info("command accepted", "type", command.Type, "infrastructure", command.Scope.String(), "id", command.ID)
	return message.DoubleAck(ctx)
}

// accept checks a command and stores its document. The reference holds what could
// be read, also when the command is faulty.
func (t *Trigger) accept(ctx context.Context, message jetstream.Msg, metadata *jetstream.MsgMetadata) (schemas.CommandReference, error) {
	scope, subjectType, subjectErr := parseCommandSubject(message.Subject())
	reference := schemas.CommandReference{Scope: addressable(scope), Sequence: metadata.Sequence.Stream, Time: metadata.Timestamp.UTC()}
	e, data, err := Decode(message.Headers(), message.Data())
	reference.ID, reference.Source, reference.Type = e.ID(), e.Source(), clip(e.Type())
	reference.Key = Key(e.Source(), e.ID())
	reference.TraceParent, _ = e.Extensions()[extensionTrace].(string)
	if err != nil {
		return reference, err
	}
	if subjectErr != nil {
		return reference, schemas.Faults{{Field: "subject", Reason: subjectErr.Error()}}
	}
	if faults := checkType(e.Type(), subjectType); len(faults) > 0 {
		return reference, faults
	}
	command, err := schemas.ParseCommand(e.Type(), data)
	if err != nil {
		return reference, err
	}
	if faults := checkScope(command, scope); len(faults) > 0 {
		return reference, faults
	}
	reference.Decision, reference.Of, reference.Supersede = command.Decision, command.Revision, command.Supersede
	reference.Order, reference.Resource, reference.Container = command.Order, command.Resource, command.Container
	body := message.Data()
	if isBinary(fold(message.Headers())) {
		e.SetDataContentType(event.ApplicationJSON) // any other kind of JSON the SDK would write as text
		if body, err = e.MarshalJSON(); err != nil {
			return reference, schemas.Faults{{Reason: "cannot be stored: " + err.Error()}}
		}
	}
	reference.Revision, err = t.revisions.Put(ctx, Revision{Event: body, Infrastructure: command.Infrastructure})
	return reference, err
}

// reject keeps the message as a dead letter first, then tells why, then removes it
// from the queue: a crash in between repeats a step, it never loses the message.
func (t *Trigger) reject(ctx context.Context, message jetstream.Msg, metadata *jetstream.MsgMetadata, command schemas.CommandReference, faults schemas.Faults) error {
	original := messageOf(message)
	key := letterKey(metadata.Sequence.Stream)
	if err := deadLetter(ctx, t.js, command.Scope, key, original, metadata.Sequence.Stream, faults); err != nil {
		return err
	}
	if err := t.publisher.Publish(ctx, []schemas.Event{Rejection(command, key, metadata.Timestamp, faults)}); err != nil {
		return err
	}
	t.logger.Warn("command rejected", "subject", message.Subject(), "id", command.ID, "reason", headerText(faults.Error()))
	return message.TermWithReason(headerText(faults[0].String()))
}
