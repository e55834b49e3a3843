package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"windlass/events"
	"windlass/schemas"
)

// TestNoSecretLeavesTheActivityThatNeedsIt deploys the users example on a real
// PostgreSQL, uses it, lets deployments with a named secret succeed and fail, and
// then looks for the generated password and the secret in everything that is kept.
func TestNoSecretLeavesTheActivityThatNeedsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.LogLevel = slog.LevelDebug
	const secret = "tiger-lily-4711-orchestra"
	require.NoError(t, os.WriteFile(filepath.Join(w.config.SecretsDir, "token"), []byte(secret+"\n"), 0o600))
	w.startWorker(t)
	environment := newEnvironment(t)

	users := schemas.Scope{Environment: environment, Infrastructure: "users"}
	template, err := os.ReadFile(filepath.Join("..", "..", "examples", "users.yaml"))
	require.NoError(t, err)
	w.command(t, users, schemas.CommandDeploymentRequested, schemas.DeploymentRequested{
		Document: json.RawMessage(asJSON(string(template))), Parameters: map[string]any{"environment": environment, "port": 0},
	})
	named := scopeOf(environment)
	w.deploy(t, named, document(named, `    - name: web
      type: Compute
      properties:
        image: windlass.local/fixture:1
        environment: {TOKEN: "${secret.token}"}
`))
	w.requireEnd(t, named, 1, schemas.StatusDeploymentSucceeded)
	failing := schemas.Scope{Environment: environment, Infrastructure: "failing"}
	w.deploy(t, failing, document(failing, `    - name: web
      type: Compute
      properties:
        image: windlass.local/fixture:1
        args: ["${secret.token}"]
        restartPolicy: Never
        health: {tcp: {port: 8080}}
`))
	failed := w.requireEnd(t, failing, 1, schemas.StatusDeploymentRolledBack)
	require.Contains(t, strings.Join(failed.Deployment.Error.Evidence.Logs, "\n"), `unknown command "[redacted]"`, "the container did not print the secret, so that the test shows nothing")
	missing := schemas.Scope{Environment: environment, Infrastructure: "missing"}
	w.deploy(t, missing, document(missing, `    - name: web
      type: Compute
      properties:
        image: windlass.local/nobody-made-this:1
        registryCredentials: {username: ada, password: "${secret.token}"}
`))
	w.requireEnd(t, missing, 1, schemas.StatusDeploymentFailed)
	w.requireEnd(t, users, 1, schemas.StatusDeploymentSucceeded)
	for _, scope := range []schemas.Scope{users, named, failing, missing} {
		w.settle(t, scope)
	}

	password := variable(t, environment, "users-db", "POSTGRES_PASSWORD")
	require.GreaterOrEqual(t, len(password), 32)
	require.Contains(t, variable(t, environment, "users", "DATABASE_URL"), password)
	require.Equal(t, secret, variable(t, environment, "web", "TOKEN"))
	useService(t, environment)

	places := map[string][]byte{
		"workflow histories":    w.histories(t),
		"streams and buckets":   w.streams(t),
		"labels":                labelsOf(t, environment),
		"answers to questions":  w.answers(t, users),
		"what the worker logs":  []byte(w.worker.log(t)),
		"files of the servers":  filesBelow(t, filepath.Join(w.dir, "data")),
		"names of the objects":  namesOfObjects(t, environment),
		"errors of deployments": []byte(asJSON(failed)),
	}
	for place, content := range places {
		require.Contains(t, string(content), environment, "%s were not read", place)
		for what, value := range map[string]string{"generated password": password, "named secret": secret} {
			if at := bytes.Index(content, []byte(value)); at >= 0 {
				around := bytes.ReplaceAll(content[max(0, at-200):min(len(content), at+200)], []byte(value), []byte("<<<here>>>"))
				require.Failf(t, "a secret leaked", "the %s is in the %s: %q", what, place, around)
			}
		}
	}
}

// variable reads a variable of the first container of a resource.
func variable(t *testing.T, environment, resource, name string) string {
	t.Helper()
	for _, c := range containersOf(t, environment, resource) {
		for _, pair := range c.Config.Env {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
	}
	require.Failf(t, "no such variable", "%s of %s", name, resource)
	return ""
}

// useService creates a user by one replica and reads it back by the others.
func useService(t *testing.T, environment string) {
	t.Helper()
	type user struct{ ID, Name, Email string }
	replicas := containersOf(t, environment, "users")
	require.Len(t, replicas, 3)
	var created user
	for _, c := range replicas {
		base := "http://" + addressOf(t, c) + ":8080/users"
		if created.ID == "" {
			response, err := direct.Post(base, "application/json", strings.NewReader(`{"name": "Ada Lovelace", "email": "ada@example.org"}`))
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, response.StatusCode)
			require.NoError(t, json.NewDecoder(response.Body).Decode(&created))
			response.Body.Close()
			require.NotEmpty(t, created.ID)
		}
		response, err := direct.Get(base + "/" + created.ID)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		var read user
		require.NoError(t, json.NewDecoder(response.Body).Decode(&read))
		response.Body.Close()
		require.Equal(t, created, read)
		require.Equal(t, "Ada Lovelace", read.Name)
	}
}

// histories is all that Temporal tells of all workflows; payloads are in it as
// they are, since the wire format does not encode bytes.
func (w *world) histories(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	add := func(m proto.Message) {
		text, err := proto.Marshal(m)
		require.NoError(t, err)
		all.Write(text)
	}
	runs := 0
	require.Eventually(t, func() bool { // the index of workflows follows them
		list, err := w.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{})
		if err != nil {
			return false
		}
		runs = len(list.Executions)
		return runs >= 8
	}, patience, 200*time.Millisecond)
	list, err := w.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{})
	require.NoError(t, err)
	add(list)
	for _, run := range list.Executions {
		described, err := w.client.DescribeWorkflowExecution(t.Context(), run.Execution.WorkflowId, run.Execution.RunId)
		require.NoError(t, err)
		add(described)
		history := w.client.GetWorkflowHistory(t.Context(), run.Execution.WorkflowId, run.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			add(event)
		}
	}
	return all.Bytes()
}

// streams is every message of every stream, which includes those of the buckets.
func (w *world) streams(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	lister := w.js.StreamNames(t.Context())
	var names []string
	for name := range lister.Name() { // all of them first: the lister has a few seconds
		names = append(names, name)
	}
	require.NoError(t, lister.Err())
	for _, name := range names {
		stream, err := w.js.Stream(t.Context(), name)
		require.NoError(t, err)
		for next := uint64(1); ; {
			message, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(">"))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				break
			}
			require.NoError(t, err)
			next = message.Sequence + 1
			fmt.Fprintln(&all, message.Subject, message.Header)
			all.Write(message.Data)
			if unpacked, err := gzip.NewReader(bytes.NewReader(message.Data)); err == nil {
				_, err := io.Copy(&all, unpacked)
				require.NoError(t, err)
			}
		}
	}
	require.ElementsMatch(t, []string{
		events.CommandStream, events.StatusStream, events.DeadLetterStream,
		"KV_" + events.RecordBucket, "KV_" + events.RevisionBucket, "KV_" + events.ProtectionBucket, "KV_" + events.PlaceBucket,
	}, names, "everything that NATS keeps was read")
	return all.Bytes()
}

func labelsOf(t *testing.T, environment string) []byte {
	t.Helper()
	all, err := objectsOf(t.Context(), newEngine(t), environment)
	require.NoError(t, err)
	var labels bytes.Buffer
	for _, o := range all {
		labels.WriteString(asJSON(o.labels))
	}
	return labels.Bytes()
}

func namesOfObjects(t *testing.T, environment string) []byte {
	t.Helper()
	all, err := objectsOf(t.Context(), newEngine(t), environment)
	require.NoError(t, err)
	var names bytes.Buffer
	for _, o := range all {
		fmt.Fprintln(&names, o.kind, o.name, o.id)
	}
	return names.Bytes()
}

// answers is what the worker says when it is asked.
func (w *world) answers(t *testing.T, scope schemas.Scope) []byte {
	t.Helper()
	var all []byte
	for subject, question := range map[string]any{
		schemas.QueryList: schemas.ListRequest{}, schemas.QueryVersion: nil,
		schemas.QueryStatus: schemas.StatusRequest{Scope: scope, Live: true},
	} {
		answer, err := w.conn.Request(subject, []byte(asJSON(question)), 30*time.Second)
		require.NoError(t, err)
		require.Empty(t, answer.Header.Get("Nats-Service-Error"), subject)
		all = append(all, answer.Data...)
	}
	return all
}

func filesBelow(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the servers are at work
		}
		all = append(all, content...)
		return err
	}))
	return all
}
