package events

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// Revision is what was accepted: the command as it came, and the document that it
// holds with its parameters filled in.
type Revision struct {
	// Event is the command in structured form, byte for byte, so that its lines
	// stay where they are.
	Event []byte `json:"event"`
	// Infrastructure is nil when the command destroys.
	Infrastructure *schemas.Infrastructure `json:"infrastructure,omitempty"`
}

// Command reads the command again, for the places of its fields.
func (r *Revision) Command() (*schemas.Command, error) {
	e, data, err := decodeStructured(r.Event)
	if err != nil {
		return nil, err
	}
	return schemas.ParseCommand(e.Type(), data)
}

// Request reads what a deployment was asked for with: document and parameters as
// they came.
func (r *Revision) Request() (schemas.DeploymentRequested, error) {
	var request schemas.DeploymentRequested
	var envelope struct {
		Data   json.RawMessage `json:"data"`
		Base64 []byte          `json:"data_base64"`
	}
	if err := json.Unmarshal(r.Event, &envelope); err != nil {
		return request, fmt.Errorf("the stored command: %w", err)
	}
	data := envelope.Base64
	if len(envelope.Data) > 0 {
		data = envelope.Data
	}
	if err := json.Unmarshal(data, &request); err != nil {
		return request, fmt.Errorf("the data of the stored command: %w", err)
	}
	return request, nil
}

// Redeployment is a revision that deploys another document than the command of this one
// says, as if a command with its identity had brought that. The same gives the same.
func (r *Revision) Redeployment(infrastructure *schemas.Infrastructure) (Revision, error) {
	e, _, err := decodeStructured(r.Event)
	if err != nil {
		return Revision{}, err
	}
	e.SetType(schemas.CommandDeploymentRequested)
	if err := setData(&e, map[string]any{"document": infrastructure}); err != nil {
		return Revision{}, err
	}
	next := Revision{}
	if next.Event, err = e.MarshalJSON(); err != nil {
		return Revision{}, fmt.Errorf("event %q: %w", e.ID(), err)
	}
	command, err := next.Command()
	if err != nil {
		return Revision{}, err
	}
	next.Infrastructure = command.Infrastructure
	return next, nil
}

// Revisions store what was accepted by its content: the same content has the same
// reference, so storing twice is harmless and a reference never changes meaning.
// Those used last stay in memory, since every operation of a deployment reads its
// revision; they are shared and must not be changed.
type Revisions struct {
	bucket jetstream.KeyValue
	recent *lru.Cache[string, *Revision]
}

// recentRevisions bounds those in memory; each has up to schemas.MaxDocumentBytes
// twice, as text and read.
const recentRevisions = 16

// OpenRevisions opens the bucket; ErrNoStreams says that EnsureStreams never ran.
func OpenRevisions(ctx context.Context, js jetstream.JetStream) (*Revisions, error) {
	bucket, err := js.KeyValue(ctx, RevisionBucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", RevisionBucket, missing(err))
	}
	recent, err := lru.New[string, *Revision](recentRevisions)
	if err != nil {
		return nil, fmt.Errorf("cache of revisions: %w", err)
	}
	return &Revisions{bucket: bucket, recent: recent}, nil
}

// Put stores a revision, compressed, and returns its reference.
func (r *Revisions) Put(ctx context.Context, revision Revision) (string, error) {
	text, err := json.Marshal(revision)
	if err != nil {
		return "", fmt.Errorf("store revision: %w", err)
	}
	packed, err := pack(text)
	if err != nil {
		return "", fmt.Errorf("store revision: %w", err)
	}
	sum := sha256.Sum256(text)
	reference := hex.EncodeToString(sum[:])
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := r.bucket.Create(ctx, reference, packed); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return "", fmt.Errorf("store revision: %w", err)
	}
	r.recent.Add(reference, &revision)
	return reference, nil
}

// packers are kept, since each has close to a megabyte of tables.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}

func pack(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	writer := packers.Get().(*gzip.Writer)
	defer packers.Put(writer)
	writer.Reset(&packed)
	if _, err := writer.Write(text); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// ErrNoRevision says that a reference names nothing in the bucket.
var ErrNoRevision = errors.New("the revision is not in the bucket " + RevisionBucket)

// Get reads a revision.
func (r *Revisions) Get(ctx context.Context, reference string) (*Revision, error) {
	if revision, ok := r.recent.Get(reference); ok {
		return revision, nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	entry, err := r.bucket.Get(ctx, reference)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("read revision %.12s: %w", reference, ErrNoRevision)
	}
	if err != nil {
		return nil, fmt.Errorf("read revision %.12s: %w", reference, err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(entry.Value()))
	if err != nil {
		return nil, fmt.Errorf("read revision %.12s: %w", reference, err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("read revision %.12s: %w", reference, err)
	}
	var revision Revision
	if err := json.Unmarshal(text, &revision); err != nil {
		return nil, fmt.Errorf("read revision %.12s: %w", reference, err)
	}
	r.recent.Add(reference, &revision)
	return &revision, nil
}
