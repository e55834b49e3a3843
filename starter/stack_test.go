package starter

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

// startNATS runs a NATS server with JetStream and returns its address.
func startNATS(t *testing.T) string {
	t.Helper()
	return runNATS(t, natsserver.RANDOM_PORT, t.TempDir()).ClientURL()
}

// runNATS runs a NATS server on that port with that directory.
func runNATS(t *testing.T, port int, dir string) *natsserver.Server {
	t.Helper()
	server, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	require.NoError(t, err)
	server.Start()
	t.Cleanup(func() { stopNATS(server) })
	require.True(t, server.ReadyForConnections(10*time.Second))
	return server
}

func stopNATS(server *natsserver.Server) {
	server.Shutdown()
	server.WaitForShutdown()
}

// connectJetStream opens a connection of the test itself.
func connectJetStream(t *testing.T, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := events.Connect(url, events.ConnectOptions{Name: t.Name()})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return conn, js
}

// fakeWorker answers questions and commands as it is told to: these tests are
// about what the command makes of a worker, not about the worker.
type fakeWorker struct {
	url       string
	publisher *events.Publisher
	// commands receives each command once.
	commands chan event.Event
	// react returns the events that a command brings about; may be nil.
	react func(command event.Event) []schemas.Event

	mu        sync.Mutex
	list      schemas.ListAnswer
	statuses  map[schemas.Scope]schemas.StatusAnswer
	plans     schemas.PlanAnswer
	revisions schemas.RevisionsAnswer
	providers schemas.ProvidersAnswer
	scopes    schemas.ScopesAnswer
	// containers answers questions for containers; asked is the newest of them.
	containers schemas.ContainersAnswer
	asked      schemas.ContainersRequest
	// objects answers what is asked of objects; nil is an answer in words, with its code.
	objects func(provider string, verb schemas.ObjectVerb, data []byte) (answer any, code, words string)
	// logs answers questions for logs by what was asked.
	logs func(schemas.LogsRequest) schemas.LogsAnswer
}

// startStack runs NATS with the streams of Windlass, and no worker.
func startStack(t *testing.T) string {
	t.Helper()
	url := startNATS(t)
	_, js := connectJetStream(t, url)
	require.NoError(t, events.EnsureStreams(t.Context(), js))
	return url
}

// startWorker runs NATS and a fake worker.
func startWorker(t *testing.T, react func(event.Event) []schemas.Event) *fakeWorker {
	t.Helper()
	return workOn(t, startStack(t), react)
}

// workOn runs a fake worker on a NATS server that has the streams.
func workOn(t *testing.T, url string, react func(event.Event) []schemas.Event) *fakeWorker {
	t.Helper()
	conn, js := connectJetStream(t, url)
	records, err := events.OpenRecords(t.Context(), js)
	require.NoError(t, err)
	w := &fakeWorker{
		url: url, publisher: events.NewPublisher(js, records), commands: make(chan event.Event, 16), react: react,
		statuses: map[schemas.Scope]schemas.StatusAnswer{},
	}
	service, err := micro.AddService(conn, micro.Config{Name: schemas.QueryService, Version: "0.0.1"})
	require.NoError(t, err)
	for subject, answer := range map[string]micro.HandlerFunc{
		schemas.QueryVersion: w.answerVersion, schemas.QueryList: w.answerList, schemas.QueryStatus: w.answerStatus,
		schemas.QueryPlan: w.answerPlan, schemas.QueryDiff: w.answerPlan,
		schemas.QueryRevisions: w.answerRevisions, schemas.QueryRevision: w.answerRevision,
		schemas.QueryContainers: w.answerContainers, schemas.QueryLogs: w.answerLogs,
		schemas.QueryProviders: w.answerProviders, schemas.QueryScopes: w.answerScopes, schemas.ObjectSubjects: w.answerObjects,
	} {
		require.NoError(t, service.AddEndpoint(nats.NewInbox()[7:], answer, micro.WithEndpointSubject(subject)))
	}
	consumer, err := js.OrderedConsumer(t.Context(), events.CommandStream, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	consuming, err := consumer.Consume(w.receive)
	require.NoError(t, err)
	t.Cleanup(consuming.Stop)
	return w
}

func (w *fakeWorker) receive(message jetstream.Msg) {
	var command event.Event
	if err := json.Unmarshal(message.Data(), &command); err != nil {
		panic(err)
	}
	w.commands <- command
	if w.react != nil {
		if err := w.publisher.Publish(context.Background(), w.react(command)); err != nil {
			return // the test is over
		}
	}
}

// publish sends status events that no command asked for.
func (w *fakeWorker) publish(t *testing.T, batch ...schemas.Event) {
	t.Helper()
	require.NoError(t, w.publisher.Publish(t.Context(), batch))
}

// know makes the worker answer for an Infrastructure.
func (w *fakeWorker) know(answer schemas.StatusAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[answer.Infrastructure.Scope] = answer
	w.list.Infrastructures = append(w.list.Infrastructures, answer.Infrastructure)
}

func (w *fakeWorker) answerVersion(r micro.Request) {
	_ = r.RespondJSON(schemas.VersionAnswer{Version: "v1.2.3", Providers: map[string]string{"docker": "Docker 20.10.24", "far": "connection refused"}})
}

func (w *fakeWorker) answerList(r micro.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = r.RespondJSON(w.list)
}

func (w *fakeWorker) answerPlan(r micro.Request) { _ = r.RespondJSON(w.plans) }

func (w *fakeWorker) answerProviders(r micro.Request) { _ = r.RespondJSON(w.providers) }

func (w *fakeWorker) answerScopes(r micro.Request) { _ = r.RespondJSON(w.scopes) }

func (w *fakeWorker) answerObjects(r micro.Request) {
	provider, verb := schemas.ParseObjectSubject(r.Subject())
	answer, code, words := w.objects(provider, verb, r.Data())
	if answer == nil {
		_ = r.Error(code, words, nil)
		return
	}
	_ = r.RespondJSON(answer)
}

func (w *fakeWorker) answerRevisions(r micro.Request) { _ = r.RespondJSON(w.revisions) }

// answerRevision names the revision in the parameters, so that a test sees which
// one was sent again.
func (w *fakeWorker) answerRevision(r micro.Request) {
	var request schemas.RevisionRequest
	_ = json.Unmarshal(r.Data(), &request)
	text, _ := json.Marshal(usersDocument)
	_ = r.RespondJSON(schemas.RevisionAnswer{
		Record:  schemas.RevisionRecord{Scope: request.Scope, Revision: request.Revision},
		Request: schemas.DeploymentRequested{Document: text, Parameters: map[string]any{"revision": request.Revision}},
	})
}

func (w *fakeWorker) answerContainers(r micro.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = schemas.ContainersRequest{}
	_ = json.Unmarshal(r.Data(), &w.asked)
	_ = r.RespondJSON(w.containers)
}

func (w *fakeWorker) answerLogs(r micro.Request) {
	var request schemas.LogsRequest
	_ = json.Unmarshal(r.Data(), &request)
	_ = r.RespondJSON(w.logs(request))
}

func (w *fakeWorker) answerStatus(r micro.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var request schemas.StatusRequest
	if err := json.Unmarshal(r.Data(), &request); err != nil {
		_ = r.Error("400", err.Error(), nil)
		return
	}
	answer, known := w.statuses[request.Scope]
	switch {
	case request.Infrastructure == "broken":
		_ = r.Error("503", "the bucket of records does not answer", nil)
	case request.Infrastructure == "garbled":
		_ = r.Respond([]byte("<html>"))
	case request.Infrastructure == "refused":
		_ = r.Error("400", "environment is missing", nil)
	case !known:
		_ = r.Error("404", "no Infrastructure "+request.Scope.String()+" is known", nil)
	default:
		if !request.Live {
			answer.Replicas = nil
		}
		_ = r.RespondJSON(answer)
	}
}

// buffer is an output that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// process is a run of the command.
type process struct {
	stdout, stderr buffer
	interrupt      context.CancelFunc
	code           chan int
}

// start runs the command against that NATS server in the background.
func start(t *testing.T, url string, args ...string) *process {
	return startWith(t, url, nil, args...)
}

func startWith(t *testing.T, url string, stdin io.Reader, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p := &process{interrupt: cancel, code: make(chan int, 1)}
	go func() {
		p.code <- Main(ctx, append(args, "--nats", url), stdin, &p.stdout, &p.stderr)
	}()
	return p
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) ExitCode {
	t.Helper()
	select {
	case code := <-p.code:
		return ExitCode(code)
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the command does not end", "stdout:\n%s\nstderr:\n%s", p.stdout.String(), p.stderr.String())
		return 0
	}
}

// ran runs the command to its end and demands that exit code.
func ran(t *testing.T, want ExitCode, url string, args ...string) *process {
	t.Helper()
	p := start(t, url, args...)
	code := p.wait(t)
	require.Equal(t, int(want), int(code), "stdout:\n%s\nstderr:\n%s", p.stdout.String(), p.stderr.String())
	return p
}

// eventually polls until the condition holds.
func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 5*time.Millisecond, what)
}
