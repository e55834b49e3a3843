package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const usersSubject = "windlass.command.staging.users.deployment.requested"

// commandOf is a structured command with an id, of that type and data.
func commandOf(eventType, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"bad-1","source":"/test","type":%q,"data":%s}`, eventType, data)
}

// deploymentOf is a command that deploys a document that is given as text.
func deploymentOf(text string) string {
	document, _ := json.Marshal(text)
	return commandOf(schemas.CommandDeploymentRequested, fmt.Sprintf(`{"document":%s}`, document))
}

func yamlOf(name, environment, resources string) string {
	return fmt.Sprintf("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata:\n  name: %q\nspec:\n  environment: %s\n  resources:\n%s", name, environment, resources)
}

const network = "    - {name: backend, type: Network}\n"

func TestBadInputEndsAsRejectionAndDeadLetter(t *testing.T) {
	valid := deploymentOf(yamlOf("users", "staging", network))
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	long := strings.Repeat("n", 300)
	tests := map[string]struct {
		subject string
		header  nats.Header
		body    string
		scope   schemas.Scope // users of staging when empty
		id      string
		field   string
		line    int
		reason  string
	}{
		"not JSON":                     {body: "hello", line: 1, reason: "is no CloudEvent"},
		"nothing":                      {body: "", line: 1, reason: "is empty"},
		"JSON but no CloudEvent":       {body: `{"name":"users"}`, field: "specversion", line: 1, reason: "is missing"},
		"an empty id":                  {body: strings.Replace(valid, "bad-1", "", 1), field: "id", line: 1, reason: "text that is not empty"},
		"a type that is none":          {body: commandOf("com.example.hello", "{}"), id: "bad-1", field: "type", reason: `"com.example.hello" is no command`},
		"a type of a status event":     {body: commandOf(schemas.StatusResourceReady, "{}"), id: "bad-1", field: "type", reason: "is no command"},
		"a type other than in subject": {body: commandOf(schemas.CommandDestroyRequested, `{"environment":"staging","infrastructure":"users"}`), id: "bad-1", field: "type", reason: `"destroy.requested" is expected`},
		"a subject that is too short":  {subject: "windlass.command.users", body: valid, scope: schemas.Scope{Environment: "unknown", Infrastructure: "unknown"}, id: "bad-1", field: "subject", reason: "is not of the form"},
		"no document":                  {body: commandOf(schemas.CommandDeploymentRequested, "{}"), id: "bad-1", line: 1, reason: `"document" is missing`},
		"an unknown field in the data": {body: commandOf(schemas.CommandDeploymentRequested, `{"document":"x","dokument":1}`), id: "bad-1", field: "dokument", line: 1, reason: "unknown field"},
		"an unknown field":             {body: deploymentOf(yamlOf("users", "staging", "    - {name: backend, type: Network, colour: red}\n")), id: "bad-1", field: "spec.resources[0].colour", line: 8, reason: "unknown field"},
		"a duplicate resource name":    {body: deploymentOf(yamlOf("users", "staging", network+network)), id: "bad-1", field: "spec.resources[1].name", line: 9, reason: "declared twice"},
		"a missing dependency":         {body: deploymentOf(yamlOf("users", "staging", "    - {name: a, type: Network, dependsOn: [b]}\n")), id: "bad-1", field: "spec.resources[0].dependsOn[0]", line: 8, reason: `"b" is no resource`},
		"a cycle": {body: deploymentOf(yamlOf("users", "staging", "    - {name: a, type: Network, dependsOn: [b]}\n    - {name: b, type: Network, dependsOn: [c]}\n    - {name: c, type: Network, dependsOn: [a]}\n")),
			id: "bad-1", field: "spec.resources[0].dependsOn", line: 8, reason: "a -> b -> c -> a"},
		"2 MB of data":                     {body: deploymentOf(strings.Repeat("x", 2<<20)), reason: "at most 1048576 are accepted"},
		"a document nested 10,000 deep":    {body: commandOf(schemas.CommandDeploymentRequested, `{"document":`+strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_001)), field: "data.document.a", line: 1, reason: "nested deeper"},
		"a text nested 10,000 deep":        {body: deploymentOf(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), id: "bad-1", line: 1, reason: "nested deeper"},
		"a YAML alias bomb":                {body: deploymentOf(bomb), id: "bad-1", field: "data.document", reason: "more than 200000 values"},
		"YAML that does not parse":         {body: deploymentOf("apiVersion: windlass/v1\n\tkind: x\n"), id: "bad-1", field: "data.document", line: 2, reason: "is not valid YAML"},
		"YAML that is a comment":           {body: deploymentOf("# nothing\n"), id: "bad-1", field: "data.document", line: 1, reason: "is empty"},
		"a number without end":             {body: deploymentOf(yamlOf("users", "staging", "    - {name: a, type: Compute, properties: {image: x, replicas: 1e1000000000}}\n")), id: "bad-1", line: 8, reason: "integer is expected"},
		"a number in JSON without end":     {body: commandOf(schemas.CommandDeploymentRequested, `{"document":{"apiVersion":"windlass/v1","kind":"Infrastructure","metadata":{"name":"users"},"spec":{"environment":"staging","resources":[{"name":"a","type":"Compute","properties":{"image":"x","replicas":1e1000000000}}]}}}`), id: "bad-1"},
		"another environment in the data":  {body: deploymentOf(yamlOf("users", "production", network)), id: "bad-1", field: "spec.environment", line: 6, reason: `is "production" but the event was published for "staging"`},
		"another name in the data":         {body: deploymentOf(yamlOf("orders", "staging", network)), id: "bad-1", field: "metadata.name", line: 4, reason: `is "orders" but`},
		"another environment to destroy":   {subject: "windlass.command.staging.users.destroy.requested", body: commandOf(schemas.CommandDestroyRequested, `{"environment":"production","infrastructure":"users"}`), id: "bad-1", field: "data.environment", reason: `is "production" but`},
		"a name with a slash":              {subject: "windlass.command.staging.a/b.deployment.requested", body: deploymentOf(yamlOf("a/b", "staging", network)), scope: schemas.Scope{Environment: "staging", Infrastructure: "unknown"}, id: "bad-1", field: "metadata.name", line: 4, reason: "a DNS label"},
		"a name with dots":                 {body: deploymentOf(yamlOf("../users", "staging", network)), id: "bad-1", field: "metadata.name", line: 4, reason: "a DNS label"},
		"a name of 300 characters":         {subject: "windlass.command.staging." + long + ".deployment.requested", body: deploymentOf(yamlOf(long, "staging", network)), scope: schemas.Scope{Environment: "staging", Infrastructure: "unknown"}, id: "bad-1", field: "metadata.name", line: 4, reason: "is 300 characters long"},
		"a subject with a percent sign":    {subject: "windlass.command.staging.100%zz.deployment.requested", body: valid, scope: schemas.Scope{Environment: "staging", Infrastructure: "unknown"}, id: "bad-1", field: "metadata.name", line: 4, reason: `published for "100%zz"`},
		"a subject with control letters":   {subject: "windlass.command.staging.a\x01\x7f\xff.deployment.requested", body: valid, scope: schemas.Scope{Environment: "staging", Infrastructure: "unknown"}, id: "bad-1", field: "metadata.name", line: 4, reason: "published for"},
		"a batch":                          {header: nats.Header{"Content-Type": {"application/cloudevents-batch+json"}}, body: "[" + valid + "]", field: "Content-Type", reason: "batches"},
		"binary with data in the headers":  {header: nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"bad-1"}, "ce-source": {"/test"}, "ce-type": {schemas.CommandDeploymentRequested}, "ce-data": {"{}"}}, body: "{}", id: "bad-1", field: "ce-data", reason: "is no attribute"},
		"an id of a megabyte":              {body: strings.Replace(valid, "bad-1", strings.Repeat("x", 1_000_000), 1), id: strings.Repeat("x", 1024) + "...", field: "id", line: 1, reason: "at most 1024"},
		"an id that breaks lines":          {body: strings.Replace(commandOf("x", "{}"), "bad-1", `a\u0000\r\nNats-Rollup: all`, 1), id: "a\x00\r\nNats-Rollup: all", field: "type", reason: "is no command"},
		"a field's name of a megabyte":     {body: commandOf(schemas.CommandDeploymentRequested, `{"document":"x","`+strings.Repeat("<", 900_000)+`":1}`), id: "bad-1", field: "<<<", line: 1, reason: "unknown field"},
		"base64 that is a number":          {body: `{"specversion":"1.0","id":"bad-1","source":"/test","type":"x","data_base64":5}`, id: "bad-1", field: "data_base64", line: 1, reason: "base64"},
		"headers that instruct the server": {header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}, "X-Kept": {"yes"}}, subject: "windlass.command.staging.fresh.deployment.requested", scope: scopeNamed("fresh"), body: "hello", line: 1, reason: "is no CloudEvent"},
	}
	b := startBus(t, nil)
	r := newRecorder()
	b.runTrigger(r)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			letters, told, started := b.newest(DeadLetterStream), b.newest(StatusStream), len(r.ids(""))
			if test.subject == "" {
				test.subject = usersSubject
			}
			if test.scope == (schemas.Scope{}) {
				test.scope = scopeNamed("users")
			}
			b.publish(test.subject, test.header, []byte(test.body))
			sequence := b.newest(CommandStream)
			next := b.command(scopeNamed("users"))
			b.served()
			require.Len(t, r.ids(""), started+1)
			require.Equal(t, next.ID(), r.ids("")[started], "the next command is not served")

			require.Equal(t, told+1, b.newest(StatusStream))
			rejected, err := ReadStatus(b.message(StatusStream, told+1).Data)
			require.NoError(t, err)
			require.Equal(t, schemas.StatusCommandRejected, rejected.Type)
			require.Equal(t, test.scope, rejected.Command.Scope)
			require.Equal(t, test.id, rejected.CausationID)
			require.Equal(t, schemas.CommandSequence(sequence), rejected.Sequence)
			require.NotEmpty(t, rejected.Command.Faults)
			fault := rejected.Command.Faults[0]
			require.Contains(t, fault.Reason, test.reason)
			require.Truef(t, strings.HasPrefix(fault.Field, test.field), "field %q", fault.Field)
			if test.line > 0 {
				require.Equal(t, test.line, fault.Line)
			}

			require.Equal(t, letters+1, b.newest(DeadLetterStream))
			letter := b.message(DeadLetterStream, letters+1)
			require.Equal(t, "windlass.deadletter."+test.scope.Environment+"."+test.scope.Infrastructure, letter.Subject)
			require.Equal(t, test.body, string(letter.Data))
			for header, values := range test.header {
				if !strings.HasPrefix(header, "Nats-") {
					require.Equal(t, values, letter.Header[header])
				}
			}
			require.Equal(t, headerText(test.subject), letter.Header.Get(deadLetterSubject))
			require.Equal(t, fmt.Sprint(sequence), letter.Header.Get(deadLetterSequence))
			require.NotEmpty(t, letter.Header.Get(deadLetterReason))
		})
	}
}

// A message that is as large as the server takes leaves no room for the reason.
func TestAMessageAsLargeAsTheServerTakesIsNoPoison(t *testing.T) {
	const most = 1 << 20
	b := startBus(t, func(o *server.Options) { o.MaxPayload = most })
	r := newRecorder()
	b.runTrigger(r)
	b.publish(usersSubject, nil, []byte(strings.Repeat("x", most)))
	next := b.command(scopeNamed("users"))
	b.served()
	require.Equal(t, []string{next.ID()}, r.ids(""))
	letters := b.messages(DeadLetterStream)
	require.Len(t, letters, 1)
	require.Empty(t, letters[0].Data)
	require.Equal(t, "the 1048576 bytes of the command do not fit; they are message 1 of WINDLASS_COMMANDS", letters[0].Header.Get(deadLetterCut))
	require.Len(t, b.statuses(), 1)
}

func TestARejectionThatIsRepeatedIsStoredOnce(t *testing.T) {
	b := startBus(t, nil)
	b.publish(usersSubject, nil, []byte("hello"))
	stop := b.runTrigger(newRecorder())
	b.served()
	stop()
	// As if the trigger had died before it took the command out of the queue.
	require.NoError(t, b.js.DeleteConsumer(b.context(), CommandStream, TriggerConsumer))
	b.runTrigger(newRecorder())
	b.served()
	require.Len(t, b.statuses(), 1)
	require.Len(t, b.messages(DeadLetterStream), 1)
}
