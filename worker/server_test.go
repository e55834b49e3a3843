package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

// patience bounds every wait of a test; nothing waits that long unless it fails.
const patience = 60 * time.Second

var users = schemas.Scope{Environment: "staging", Infrastructure: "users"}

// desk is a NATS server with the query service on it.
type desk struct {
	t         *testing.T
	conn      *nats.Conn
	js        jetstream.JetStream
	records   *events.Records
	publisher *events.Publisher
	revisions *events.Revisions
}

func openDesk(t *testing.T, providers activities.Providers) *desk {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	d := &desk{t: t}
	d.conn, err = events.Connect(s.ClientURL(), events.ConnectOptions{Name: "test"})
	require.NoError(t, err)
	t.Cleanup(d.conn.Close)
	d.js, err = jetstream.New(d.conn)
	require.NoError(t, err)
	require.NoError(t, events.EnsureStreams(t.Context(), d.js))
	d.records, err = events.OpenRecords(t.Context(), d.js)
	require.NoError(t, err)
	d.publisher = events.NewPublisher(d.js, d.records)
	d.revisions, err = events.OpenRevisions(t.Context(), d.js)
	require.NoError(t, err)
	protections, err := events.OpenProtections(t.Context(), d.js)
	require.NoError(t, err)
	places, err := events.OpenPlaces(t.Context(), d.js)
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	planner := &activities.Planner{Providers: providers, Protections: protections, Places: places, Records: d.records, Logger: logger}
	vault, err := activities.NewVault(make([]byte, activities.MasterKeySize), "")
	require.NoError(t, err)
	effects := &activities.Activities{Planner: planner, Revisions: d.revisions, Vault: vault}
	kinds := map[string]schemas.ProviderKind{}
	for name := range providers {
		kinds[name] = schemas.ProviderDocker
	}
	service, err := (&queries{records: d.records, revisions: d.revisions, planner: planner, kinds: kinds, effects: effects, logger: logger}).serve(d.conn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Stop()) })
	return d
}

// deployed publishes the events of a deployment that ended well.
func (d *desk) deployed(scope schemas.Scope, destroy bool) {
	d.t.Helper()
	source := schemas.DeploymentSource(scope, 1)
	batch := []schemas.Event{{
		ID: source, Source: source, Type: schemas.StatusDeploymentSucceeded, Sequence: schemas.DeploymentSequence(1, 2), CorrelationID: "infrastructure/" + scope.String() + "/rev-1",
		Deployment: &schemas.DeploymentStatus{Scope: scope, Revision: 1, Destroy: destroy, Final: true},
	}}
	for _, resource := range []string{"web", "backend"} {
		source := schemas.ResourceSource(scope, resource)
		batch = append(batch, schemas.Event{
			ID: source, Source: source, Type: schemas.StatusResourceReady, Sequence: schemas.DeploymentSequence(1, 1),
			Resource: &schemas.ResourceStatus{Scope: scope, Revision: 1, Resource: resource, Type: schemas.TypeCompute, Provider: "docker"},
		})
	}
	require.NoError(d.t, d.publisher.Publish(d.t.Context(), batch))
}

// ask asks a question; the error holds code and description of an answer that
// could not be given.
func ask[T any](d *desk, subject string, question any) (T, error) {
	d.t.Helper()
	var answer T
	text, isText := question.(string)
	body := []byte(text)
	if !isText {
		var err error
		body, err = json.Marshal(question)
		require.NoError(d.t, err)
	}
	reply, err := d.conn.Request(subject, body, patience)
	require.NoError(d.t, err)
	if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		return answer, errors.New(code + " " + reply.Header.Get("Nats-Service-Error"))
	}
	require.NoError(d.t, json.Unmarshal(reply.Data, &answer))
	return answer, nil
}

// engine is a Provider of which only what questions need is there.
type engine struct {
	activities.Provider
	observed []plan.Observed
	metrics  []activities.Metrics
	err      error
}

func (e *engine) Version(context.Context) (string, error) { return "Engine 1", e.err }

func (e *engine) ReplaceOn(schemas.ResourceType) []string { return nil }

func (e *engine) Scopes(context.Context) ([]schemas.Scope, error) {
	var held []schemas.Scope
	for _, o := range e.observed {
		held = append(held, o.Scope)
	}
	return held, e.err
}

func (e *engine) Adopts(context.Context, plan.Desired) (string, error) { return "", nil }

func (e *engine) Permit(plan.Desired, plan.Observed) error { return nil }

func (e *engine) Outputs(plan.Desired) (schemas.Outputs, error) { return nil, nil }

func (e *engine) Observe(_ context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	var found []plan.Observed
	for _, o := range e.observed {
		if o.Scope == scope {
			found = append(found, o)
		}
	}
	return found, e.err
}

func (e *engine) Metrics(context.Context, plan.Target) ([]activities.Metrics, error) {
	return e.metrics, e.err
}
