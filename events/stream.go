package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The names of the streams, the durable consumer and the buckets.
const (
	CommandStream    = "WINDLASS_COMMANDS"
	StatusStream     = "WINDLASS_STATUS"
	DeadLetterStream = "WINDLASS_DEADLETTERS"
	TriggerConsumer  = "windlass-trigger"
	RecordBucket     = "WINDLASS_RECORDS"
	RevisionBucket   = "WINDLASS_REVISIONS"
	ProtectionBucket = "WINDLASS_PROTECTIONS"
	PlaceBucket      = "WINDLASS_PLACES"
)

// Retention is how long commands, status events and dead letters are kept. It is
// not longer than the retention of a Temporal namespace, which bounds how long a
// command's effect is remembered.
const Retention = 7 * 24 * time.Hour

// duplicateWindow is how long JetStream drops a message with a known id. It
// covers a publisher that waits for a NATS server to come back.
const duplicateWindow = time.Hour

// ErrNoStreams says that no worker or development stack has prepared this NATS server yet.
var ErrNoStreams = errors.New("the NATS server has no Windlass streams yet")

func streamConfigs() []jetstream.StreamConfig {
	config := func(name, subject, description string, bytes int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: description, Subjects: []string{subject},
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage,
			MaxAge: Retention, MaxBytes: bytes, Duplicates: duplicateWindow,
		}
	}
	commands := config(CommandStream, commandRoot+">", "Commands: CloudEvents that ask for something", 1<<30)
	commands.Discard = jetstream.DiscardNew // an acknowledged command is never pushed out by a newer one
	return []jetstream.StreamConfig{
		commands,
		config(StatusStream, statusRoot+">", "Status events: CloudEvents that tell what happened", 1<<30),
		config(DeadLetterStream, deadLetterRoot+">", "Commands that cannot be served, with the reason", 256<<20),
	}
}

// EnsureStreams creates the streams and buckets that are missing and brings the
// others up to date. Calling it again, also at the same time, is harmless.
func EnsureStreams(ctx context.Context, js jetstream.JetStream) error {
	for _, config := range streamConfigs() {
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			return fmt.Errorf("stream %s: %w", config.Name, err)
		}
	}
	for _, bucket := range []jetstream.KeyValueConfig{
		{Bucket: RecordBucket, Description: "Last known status of infrastructures and resources", Storage: jetstream.FileStorage},
		{Bucket: RevisionBucket, Description: "Accepted documents, by content", Storage: jetstream.FileStorage},
		{Bucket: ProtectionBucket, Description: "Resources that may be neither deleted nor replaced", Storage: jetstream.FileStorage, History: 10},
		{Bucket: PlaceBucket, Description: "Providers that may hold something of an infrastructure", Storage: jetstream.FileStorage},
	} {
		if _, err := js.CreateOrUpdateKeyValue(ctx, bucket); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket.Bucket, err)
		}
	}
	return nil
}
