package starter

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

const usersDocument = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network}
`

const usersTemplate = `apiVersion: windlass/v1
kind: Template
metadata: {name: users}
spec:
  environment: staging
  parameters:
    - {name: image, type: String, required: true}
    - {name: replicas, type: Number, default: 1}
  resources:
    - name: users
      type: Compute
      properties: {image: "${param.image}", replicas: "${param.replicas}"}
`

// file writes a document for one test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// tells makes a worker that answers each command with a story of it.
func tells(story func(command string) *story) func(event.Event) []schemas.Event {
	return func(command event.Event) []schemas.Event { return story(command.ID()).events }
}

func TestDeployEndsWithTheExitCodeOfTheDeployment(t *testing.T) {
	two, none := 2, 0
	for name, c := range map[string]struct {
		story  func(command string) *story
		code   ExitCode
		stderr string
	}{
		"succeeded": {
			func(id string) *story {
				return newStory(id, 3).accepted().planned().creating("backend").ready("backend").succeeded()
			}, ExitDone, "",
		},
		"rejected": {
			func(id string) *story {
				return newStory(id, 0).rejected(schemas.Fault{Field: "spec.resources[0].name", Line: 7, Column: 8, Reason: "is taken"})
			}, ExitRejected, "FILE:7:8: spec.resources[0].name: is taken\nwindlass: FILE is rejected: 1 fault\n",
		},
		"failed": {
			func(id string) *story {
				return newStory(id, 3).accepted().planned().failing().
					deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), Final: true})
			}, ExitFailed, "windlass: staging/users: revision 3 failed\n",
		},
		"failed and rolled back": {
			func(id string) *story {
				return newStory(id, 3).accepted().planned().failing().
					deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), RollbackTo: &two}).
					deployment(schemas.StatusDeploymentRolledBack, schemas.DeploymentStatus{Final: true, RollbackTo: &two})
			}, ExitRolledBack, "windlass: staging/users: revision 3 failed and was rolled back to revision 2\n",
		},
		"failed and rolled back to nothing": {
			func(id string) *story {
				return newStory(id, 1).accepted().planned().failing().
					deployment(schemas.StatusDeploymentRolledBack, schemas.DeploymentStatus{Final: true, RollbackTo: &none})
			}, ExitRolledBack, "windlass: staging/users: revision 1 failed and was rolled back to nothing\n",
		},
		"cancelled": {
			func(id string) *story {
				return newStory(id, 3).accepted().deployment(schemas.StatusDeploymentCancelled, schemas.DeploymentStatus{Final: true})
			}, ExitCancelled, "windlass: staging/users: revision 3 was cancelled\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, tells(c.story))
			path := file(t, "users.yaml", usersDocument)
			p := ran(t, c.code, w.url, "deploy", path, "--wait")
			require.Equal(t, strings.ReplaceAll(c.stderr, "FILE", path), p.stderr.String())
			for _, e := range c.story("").events {
				require.Contains(t, p.stdout.String(), plainLine(e)+"\n")
			}

			p = ran(t, c.code, w.url, "deploy", path, "--wait", "-o", "json")
			lines := jsonOutputOf(t, p, "deploy")
			last := lines[len(lines)-1]
			require.Equal(t, c.code.String(), last["result"])
			require.EqualValues(t, c.code, last["exitCode"])
			require.Equal(t, "users", last["infrastructure"])
		})
	}
}

// jsonOutputOf reads JSON lines and checks the first one.
func jsonOutputOf(t *testing.T, p *process, command string) []map[string]any {
	t.Helper()
	text := p.stdout.String()
	first, _, _ := strings.Cut(text, "\n")
	require.Equal(t, `{"schema":"windlass.cli/v1","command":"`+command+`"}`, first)
	var lines []map[string]any
	for l := range strings.Lines(text) {
		var value map[string]any
		require.NoError(t, json.Unmarshal([]byte(l), &value), l)
		lines = append(lines, value)
	}
	return lines
}

func TestDeploySendsTheTextOfTheFileAndTheParameters(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	path := file(t, "template.yaml", usersTemplate)
	values := file(t, "values.yaml", "image: a:1\nreplicas: 2\n")
	p := ran(t, ExitDone, w.url, "deploy", path, "--values", values, "--set", "image=b:2", "--id", "build-7")
	require.Equal(t, "command build-7 for staging/users is stored\nfollow it with: windlass watch staging/users --nats "+w.url+"\n", p.stdout.String())

	command := <-w.commands
	require.Equal(t, "build-7", command.ID())
	require.Equal(t, schemas.CommandDeploymentRequested, command.Type())
	var request schemas.DeploymentRequested
	require.NoError(t, command.DataAs(&request))
	var text string
	require.NoError(t, json.Unmarshal(request.Document, &text))
	require.Equal(t, usersTemplate, text)
	require.Equal(t, map[string]any{"image": "b:2", "replicas": 2.0}, request.Parameters)
}

func TestDeployReadsStdin(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := startWith(t, w.url, strings.NewReader(usersDocument), "deploy", "-")
	require.Equal(t, ExitDone, p.wait(t), p.stderr.String())
	command := <-w.commands
	require.Equal(t, schemas.CommandDeploymentRequested, command.Type())
}

func TestAnInvalidDocumentIsRejectedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	path := file(t, "users.yaml", strings.Replace(usersDocument, "type: Network", "type: Netork", 1))
	p := ran(t, ExitRejected, "nats://127.0.0.1:1", "deploy", path)
	require.Contains(t, p.stderr.String(), path+":7:")
	require.Contains(t, p.stderr.String(), "spec.resources[0].type: ")
	require.Empty(t, p.stdout.String())
}

func TestACommandSentTwiceSaysSoAndShowsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := startWorker(t, tells(func(id string) *story { return newStory(id, 1).accepted().planned().succeeded() }))
	path := file(t, "users.yaml", usersDocument)
	p := ran(t, ExitDone, w.url, "deploy", path, "--id", "build-7", "--wait", "-o", "json")
	require.Equal(t, false, jsonOutputOf(t, p, "deploy")[1]["duplicate"])

	p = ran(t, ExitDone, w.url, "deploy", path, "--id", "build-7", "--wait", "-o", "json")
	require.Equal(t, "windlass: command build-7 was sent before; it takes effect once\n", p.stderr.String())
	lines := jsonOutputOf(t, p, "deploy")
	require.Equal(t, true, lines[1]["duplicate"])
	require.Equal(t, schemas.StatusCommandAccepted, lines[2]["type"])
	require.Equal(t, "succeeded", lines[len(lines)-1]["result"])
	require.Len(t, w.commands, 1)
}

func TestOnlyTheEventsOfTheCommandCount(t *testing.T) {
	t.Parallel()
	w := startWorker(t, func(command event.Event) []schemas.Event {
		other := newStory("other", 2).accepted().planned().failing().
			deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Final: true})
		return append(other.events, newStory(command.ID(), 3).accepted().planned().succeeded().events...)
	})
	p := ran(t, ExitDone, w.url, "deploy", file(t, "users.yaml", usersDocument), "--wait")
	require.NotContains(t, p.stdout.String(), "failed")
}

func TestATimeoutLeavesTheDeploymentGoingOn(t *testing.T) {
	t.Parallel()
	w := startWorker(t, tells(func(id string) *story { return newStory(id, 3).accepted().planned() }))
	path := file(t, "users.yaml", usersDocument)
	p := ran(t, ExitTimedOut, w.url, "deploy", path, "--wait", "--timeout", "300ms")
	require.Equal(t, "windlass: timed out; staging/users goes on, follow it with: windlass watch staging/users --nats "+w.url+"\n", p.stderr.String())
}

func TestCtrlCLeavesTheDeploymentGoingOn(t *testing.T) {
	t.Parallel()
	w := startWorker(t, tells(func(id string) *story { return newStory(id, 3).accepted().planned() }))
	p := start(t, w.url, "deploy", file(t, "users.yaml", usersDocument), "--wait", "-o", "json")
	eventually(t, func() bool { return strings.Contains(p.stdout.String(), schemas.StatusDeploymentStarted) }, "the deployment starts")
	p.interrupt()
	require.Equal(t, ExitInterrupted, p.wait(t))
	require.Equal(t, "windlass: interrupted; staging/users goes on, follow it with: windlass watch staging/users --nats "+w.url+"\n", p.stderr.String())
	lines := jsonOutputOf(t, p, "deploy")
	require.Equal(t, "interrupted", lines[len(lines)-1]["result"])
}

func TestWaitingOutlivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := runNATS(t, natsserver.RANDOM_PORT, dir)
	url, port := server.ClientURL(), server.Addr().(*net.TCPAddr).Port
	_, js := connectJetStream(t, url)
	require.NoError(t, events.EnsureStreams(t.Context(), js))
	w := workOn(t, url, tells(func(id string) *story { return newStory(id, 3).accepted().planned() }))
	p := start(t, url, "deploy", file(t, "users.yaml", usersDocument), "--wait", "--id", "build-7")
	eventually(t, func() bool { return strings.Contains(p.stdout.String(), "deployment started") }, "the deployment starts")

	stopNATS(server)
	lost := "windlass: lost NATS at " + url + "; trying again until it is back\n"
	eventually(t, func() bool { return p.stderr.String() == lost }, "the note of the loss")
	runNATS(t, port, dir)
	eventually(t, func() bool { return p.stderr.String() == lost+"windlass: connected to NATS at "+url+" again\n" }, "the note of the return")

	all := newStory("build-7", 3).accepted().planned().succeeded().events
	eventually(t, func() bool { return w.publisher.Publish(t.Context(), all[len(all)-1:]) == nil }, "the last event")
	require.Equal(t, ExitDone, p.wait(t), p.stderr.String())
	require.Equal(t, len(all), strings.Count(p.stdout.String(), "\n"), "each event once:\n%s", p.stdout.String())
}

func TestWaitingWithoutAWorkerSaysSoOnce(t *testing.T) {
	t.Parallel()
	url := startStack(t)
	p := start(t, url, "deploy", file(t, "users.yaml", usersDocument), "--wait")
	eventually(t, func() bool { return p.stderr.String() != "" }, "the note")
	require.Equal(t, "windlass: no worker answers at "+url+"; the command is stored and waits for one (windlass-dev or windlass-worker)\n", p.stderr.String())
	p.interrupt()
	require.Equal(t, ExitInterrupted, p.wait(t))
}

func TestValidateTellsEveryFaultWithItsPlace(t *testing.T) {
	t.Parallel()
	good, bad := file(t, "users.yaml", usersDocument), file(t, "bad.yaml", strings.ReplaceAll(usersDocument, "backend, type: Network", "Backend, type: Netork"))
	p := ran(t, ExitDone, "", "validate", good)
	require.Equal(t, good+": valid: staging/users with 1 resource\n", p.stdout.String())
	require.Empty(t, p.stderr.String())

	p = ran(t, ExitRejected, "", "validate", bad, "-o", "json")
	lines := jsonOutputOf(t, p, "validate")
	require.Equal(t, false, lines[1]["valid"])
	require.Len(t, lines[1]["faults"], 2)
	require.Equal(t, "rejected", lines[2]["result"])
	require.Equal(t, 3, strings.Count(p.stderr.String(), "\n"))
	require.Equal(t, 2, strings.Count(p.stderr.String(), bad+":7:"))
}

func TestValuesComeFromAFileAndTheCommandLineGoesBeforeIt(t *testing.T) {
	t.Parallel()
	document := file(t, "web.yaml", `apiVersion: windlass/v1
kind: Template
metadata: {name: web}
spec:
  environment: ${param.environment}
  parameters:
    - {name: environment, type: String, allowed: [staging, production], description: where to deploy}
    - {name: hosts, type: List}
  resources:
    - {name: web, type: Compute, properties: {image: "web:1", args: "${param.hosts}", environment: {HOSTS: "${param.hosts}"}}}
`)
	for name, values := range map[string]string{"values.yaml": "environment: staging\nhosts: [a, b]\n", "values.json": `{"environment": "staging", "hosts": ["a", "b"]}`} {
		path := file(t, name, values)
		p := ran(t, ExitDone, "", "validate", document, "--values", path)
		require.Equal(t, document+": valid: staging/web with 1 resource\n", p.stdout.String())
		p = ran(t, ExitDone, "", "validate", document, "--values", path, "--set", "environment=production")
		require.Equal(t, document+": valid: production/web with 1 resource\n", p.stdout.String())
	}
	p := ran(t, ExitRejected, "", "validate", document, "--values", file(t, "wrong.yaml", "environment: prod\n"))
	require.Contains(t, p.stderr.String(), document+`:7:7: spec.parameters[0]: parameter "environment" of type String cannot be "prod"; accepted is one of "staging", "production" (where to deploy)`)

	for text, want := range map[string]string{
		"- a\n":              "holds no parameters; write one a line, such as replicas: 3",
		"hosts: [a\n":        ":1: is not valid YAML",
		"hosts: a\nhosts: b": `:2:1: hosts: "hosts" is given twice`,
	} {
		require.Contains(t, ran(t, ExitUsage, "", "validate", document, "--values", file(t, "bad.yaml", text)).stderr.String(), want)
	}
	ran(t, ExitDone, "", "validate", document, "--values", file(t, "empty.yaml", "\n"), "--set", "environment=staging")
}
