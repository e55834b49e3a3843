package activities

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"windlass/events"
	"windlass/schemas"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = 60 * time.Second

var users = schemas.Scope{Environment: "staging", Infrastructure: "users"}

// bench has the activities on a NATS server of their own, with a fake provider
// named "docker" and all that was logged.
type bench struct {
	t        *testing.T
	server   *server.Server
	js       jetstream.JetStream
	provider *fake
	log      *journal
	*Activities
}

func newBench(t *testing.T, secretsDirectory string) *bench {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	conn, err := events.Connect(s.ClientURL(), events.ConnectOptions{Name: "test"})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, events.EnsureStreams(t.Context(), js))
	records, err := events.OpenRecords(t.Context(), js)
	require.NoError(t, err)
	revisions, err := events.OpenRevisions(t.Context(), js)
	require.NoError(t, err)
	protections, err := events.OpenProtections(t.Context(), js)
	require.NoError(t, err)
	places, err := events.OpenPlaces(t.Context(), js)
	require.NoError(t, err)
	vault, err := NewVault([]byte(strings.Repeat("k", MasterKeySize)), secretsDirectory)
	require.NoError(t, err)
	b := &bench{t: t, server: s, js: js, provider: newFake(), log: &journal{}}
	logger := slog.New(slog.NewTextHandler(b.log, nil))
	b.Activities = &Activities{
		Planner: &Planner{Providers: Providers{"docker": b.provider}, Protections: protections, Places: places, Records: records, Logger: logger},
		Records: records, Revisions: revisions, Publisher: events.NewPublisher(js, records),
		JetStream: js, Vault: vault, Logger: logger,
	}
	return b
}

// revision stores a document and returns what points at it.
func (b *bench) revision(text string) Revision {
	b.t.Helper()
	return b.planned(text, nil)
}

// planned stores a document that is to be deployed by that plan and no other.
func (b *bench) planned(text string, reference *schemas.PlanReference) Revision {
	b.t.Helper()
	e, err := events.NewCommand(schemas.CommandDeploymentRequested, schemas.DeploymentRequested{Document: quoted(b.t, text), Plan: reference})
	require.NoError(b.t, err)
	body, err := json.Marshal(e)
	require.NoError(b.t, err)
	document, err := schemas.Parse([]byte(text), nil)
	require.NoError(b.t, err)
	stored, err := b.Revisions.Put(b.t.Context(), events.Revision{Event: body, Infrastructure: document})
	require.NoError(b.t, err)
	return Revision{Number: 3, Reference: stored}
}

func quoted(t *testing.T, text string) json.RawMessage {
	t.Helper()
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	return quoted
}

// run runs one activity as a worker would, and once.
func (b *bench) run(name string, in any) (converter.EncodedValue, error) {
	b.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(b.Logger))
	environment := suite.NewTestActivityEnvironment()
	environment.SetTestTimeout(patience)
	b.Register(environment)
	return environment.ExecuteActivity(name, in)
}

// failure runs an activity that must fail, and returns what its error carries.
func (b *bench) failure(name string, in any) (schemas.Failure, error) {
	b.t.Helper()
	_, err := b.run(name, in)
	require.Error(b.t, err)
	return FailureOf(err), err
}

// journal keeps what is logged.
type journal struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.String()
}

const document = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network}
    - name: db
      type: Database
      properties: {engine: postgres, version: "17", networks: ["${backend.name}"]}
    - name: web
      type: Compute
      properties:
        image: windlass.local/users:1
        networks: ["${backend.name}"]
        environment:
          DATABASE_URL: ${db.url}
          TOKEN: ${secret.API_TOKEN}
          PLAIN: $${not.a.reference}
`

func parsed(t *testing.T, text string) *schemas.Infrastructure {
	t.Helper()
	d, err := schemas.Parse([]byte(text), nil)
	require.NoError(t, err)
	return d
}

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
