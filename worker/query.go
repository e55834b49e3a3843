package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"windlass/activities"
	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
)

// queryTimeout bounds one answer.
const queryTimeout = 10 * time.Second

// queries answers the questions of people and of the windlass command.
type queries struct {
	records   *events.Records
	revisions *events.Revisions
	planner   *activities.Planner
	// kinds are those of the providers, by name.
	kinds   map[string]schemas.ProviderKind
	effects *activities.Activities
	logger  *slog.Logger
}

// failure is an answer that could not be given.
type failure struct {
	code   int
	reason string
}

// Error is the reason.
func (f *failure) Error() string { return f.reason }

// serve registers the questions as a NATS service; every worker answers, NATS
// picks one.
func (q *queries) serve(conn *nats.Conn) (micro.Service, error) {
	service, err := micro.AddService(conn, micro.Config{
		Name: schemas.QueryService, Version: "1.0.0", Description: "Answers questions about infrastructures",
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			q.logger.Error("the query service lost a subject", "subject", err.Subject, "error", err.Description)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("query service: %w", err)
	}
	for name, endpoint := range map[string]struct {
		subject string
		answer  func(context.Context, []byte) (any, error)
	}{
		"containers": {schemas.QueryContainers, q.containers},
		"list":       {schemas.QueryList, q.list},
		"logs":       {schemas.QueryLogs, q.logs},
		"diff":       {schemas.QueryDiff, q.diff},
		"drift":      {schemas.QueryDrift, q.drift},
		"plan":       {schemas.QueryPlan, q.plan},
		"providers":  {schemas.QueryProviders, q.providers},
		"revision":   {schemas.QueryRevision, q.revision},
		"revisions":  {schemas.QueryRevisions, q.allRevisions},
		"scopes":     {schemas.QueryScopes, q.scopes},
		"status":     {schemas.QueryStatus, q.status},
		"version":    {schemas.QueryVersion, q.version},
	} {
		// A slow engine must not hold up the next question.
		handler := micro.HandlerFunc(func(request micro.Request) { go q.respond(conn, request, endpoint.answer) })
		if err := service.AddEndpoint(name, handler, micro.WithEndpointSubject(endpoint.subject)); err != nil {
			return nil, fmt.Errorf("query service: %s: %w", name, err)
		}
	}
	objects := micro.HandlerFunc(func(request micro.Request) {
		go q.respond(conn, request, func(ctx context.Context, data []byte) (any, error) { return q.object(ctx, request.Subject(), data) })
	})
	if err := service.AddEndpoint("objects", objects, micro.WithEndpointSubject(schemas.ObjectSubjects)); err != nil {
		return nil, fmt.Errorf("query service: objects: %w", err)
	}
	// Whoever hears that the worker is ready may ask at once.
	if err := conn.FlushTimeout(startTimeout); err != nil {
		return nil, fmt.Errorf("query service: %w", err)
	}
	return service, nil
}

func (q *queries) respond(conn *nats.Conn, request micro.Request, answer func(context.Context, []byte) (any, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	value, err := answer(ctx, request.Data())
	var text []byte
	if err == nil {
		text, err = json.Marshal(value)
	}
	if most := conn.MaxPayload(); err == nil && int64(len(text)) > most {
		err = &failure{413, fmt.Sprintf("the answer has %d bytes, and NATS takes %d; ask for less of it", len(text), most)}
	}
	if err == nil {
		err = request.Respond(text)
	} else {
		code := 503
		if f, ok := err.(*failure); ok {
			code = f.code
		}
		// Not request.Error, which is for a handler that has not returned: it writes
		// where the service reads afterwards.
		failed := micro.Headers{micro.ErrorHeader: {err.Error()}, micro.ErrorCodeHeader: {strconv.Itoa(code)}}
		err = request.Respond(nil, micro.WithHeaders(failed))
	}
	if err != nil {
		q.logger.Warn("a question stays without an answer", "error", err)
	}
}

func read(data []byte, request any) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, request); err != nil {
		return &failure{400, "the question is not valid JSON: " + err.Error()}
	}
	return nil
}

func (q *queries) list(ctx context.Context, data []byte) (any, error) {
	var request schemas.ListRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	all, err := q.records.Infrastructures(ctx)
	if err != nil {
		return nil, err
	}
	answer := schemas.ListAnswer{Infrastructures: []schemas.InfrastructureRecord{}}
	for _, r := range all {
		if (request.Environment == "" || r.Environment == request.Environment) && (request.Destroyed || r.State != schemas.InfrastructureDestroyed) {
			answer.Infrastructures = append(answer.Infrastructures, r)
		}
	}
	return answer, nil
}

func (q *queries) status(ctx context.Context, data []byte) (any, error) {
	var request schemas.StatusRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	record, err := q.records.Infrastructure(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, &failure{404, fmt.Sprintf("no infrastructure %s is known", request.Scope)}
	}
	resources, err := q.records.Resources(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	protected, err := q.planner.Protections.Of(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	for i := range resources {
		resources[i].Protected = protected[resources[i].Resource]
	}
	rollouts, err := q.records.Rollouts(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	answer := schemas.StatusAnswer{Infrastructure: *record, Resources: resources, Rollouts: rollouts}
	if request.Live {
		held := make([]string, len(resources))
		for i, r := range resources {
			held[i] = r.Provider
		}
		answer.Replicas, answer.Objects, answer.Unreachable = q.replicas(ctx, request.Scope, held)
	}
	return answer, nil
}

func statuses(o plan.Observed, metrics []activities.Metrics) []schemas.ReplicaStatus {
	byReplica := map[string]activities.Metrics{}
	for _, m := range metrics {
		byReplica[m.Replica] = m
	}
	var out []schemas.ReplicaStatus
	for _, r := range o.Replicas {
		m := byReplica[r.Name]
		out = append(out, schemas.ReplicaStatus{
			Resource: o.Resource, Name: r.Name, Image: r.Image, State: string(r.State), Health: string(r.Health),
			ExitCode: r.ExitCode, Restarts: r.Restarts, StartedAt: r.StartedAt,
			CPU: m.CPU, MemoryBytes: m.MemoryBytes, MemoryLimitBytes: m.MemoryLimitBytes,
			NetworkInBytes: m.NetworkInBytes, NetworkOutBytes: m.NetworkOutBytes,
		})
	}
	return out
}
