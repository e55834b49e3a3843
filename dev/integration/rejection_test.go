package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

// nonsense is a message that must be refused.
type nonsense struct {
	// subject replaces the one of a deployment of the scope.
	subject string
	header  nats.Header
	body    string
	// field, line and reason are what the rejected event has to say; line 0 is not
	// checked, and the reason is a part.
	field  string
	line   int
	reason string
	// unscoped says that the subject does not name the scope, so that a command
	// for the scope is not what comes next.
	unscoped bool
}

// envelope is a CloudEvent that asks for the deployment of a document.
func envelope(text string) string { return envelopeOf(map[string]any{"document": text}) }

func envelopeOf(data any) string {
	return asJSON(map[string]any{
		"specversion": "1.0", "id": "1", "source": "/test", "type": schemas.CommandDeploymentRequested,
		"datacontenttype": "application/json", "data": data,
	})
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func testNonsense(t *testing.T, w *world) {
	valid := func(resources string) func(schemas.Scope) nonsense {
		return func(s schemas.Scope) nonsense { return nonsense{body: envelope(document(s, resources))} }
	}
	says := func(make func(schemas.Scope) nonsense, field string, line int, reason string) func(schemas.Scope) nonsense {
		return func(s schemas.Scope) nonsense {
			n := make(s)
			n.field, n.line, n.reason = field, line, reason
			return n
		}
	}
	named := func(name string) func(schemas.Scope) nonsense {
		return func(s schemas.Scope) nonsense {
			s.Infrastructure = name
			return nonsense{body: envelope(document(s, "    - {name: net, type: Network}\n"))}
		}
	}
	raw := func(body string) func(schemas.Scope) nonsense {
		return func(schemas.Scope) nonsense { return nonsense{body: body} }
	}
	cases := map[string]func(schemas.Scope) nonsense{
		"nothing at all":                says(raw(""), "", 1, "is empty"),
		"not JSON":                      says(raw("{\n  \"specversion\": \"1.0\",\n  oops"), "", 3, "is not valid JSON"),
		"random bytes":                  says(raw("\x00\xff\xfe\x01"), "", 1, "is not valid"),
		"JSON but no CloudEvent":        says(raw(`{"hello": "world"}`), "specversion", 1, "is missing; a CloudEvent has"),
		"a list":                        says(raw(`[1, 2]`), "", 1, "is no CloudEvent"),
		"an empty id":                   says(raw(strings.Replace(envelope("x"), `"id":"1"`, `"id":""`, 1)), "id", 1, "text that is not empty is expected"),
		"a type that is no command":     says(raw(strings.Replace(envelope("x"), "deployment.requested", "deployment.wished", 1)), "type", 0, "is no command"),
		"a type of another subject":     says(raw(strings.Replace(envelope("x"), "deployment.requested", "destroy.requested", 1)), "type", 0, "was published on a subject that ends in"),
		"no document":                   says(raw(envelopeOf(map[string]any{})), "", 1, `"document" is missing`),
		"an unknown field":              says(valid("    - name: web\n      type: Compute\n      properties:\n        image: a:1\n        replicsa: 2\n"), "spec.resources[0].properties.replicsa", 11, "unknown field"),
		"a duplicate name":              says(valid("    - {name: net, type: Network}\n    - {name: net, type: Storage}\n"), "spec.resources[1].name", 8, "declared twice"),
		"a dependency on a missing one": says(valid("    - name: net\n      type: Network\n      dependsOn: [ghost]\n"), "spec.resources[0].dependsOn[0]", 9, `"ghost" is no resource`),
		"a dependency cycle": says(valid("    - {name: a, type: Network, dependsOn: [b]}\n    - {name: b, type: Network, dependsOn: [c]}\n    - {name: c, type: Network, dependsOn: [a]}\n"),
			"spec.resources[0].dependsOn", 7, "a -> b -> c -> a"),
		"a reference to a missing one": says(valid("    - name: web\n      type: Compute\n      properties:\n        image: a:1\n        networks: [\"${ghost.name}\"]\n"),
			"spec.resources[0].properties.networks[0]", 11, `"ghost" is no resource`),
		"2 MB of data": says(raw(envelope(strings.Repeat("x", 2<<20))), "", 0, "at most 1048576 are accepted"),
		"10,000 levels of JSON": says(raw(strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)), "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....", 1,
			"is nested deeper than"),
		"10,000 levels in the document": says(valid("    - {name: net, type: Network, properties: {labels: "+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+"}}\n"),
			"data.document", 7, "exceeded max depth"),
		"10,000 levels in JSON in the document":                 says(raw(envelopeOf(map[string]any{"document": json.RawMessage(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000))})), "data.document[0][0][0][0][0][0][0][0][0]...", 1, "deeper than"),
		"a YAML alias bomb":                                     says(raw(envelope(aliasBomb())), "data.document", 1, "aliases expanded"),
		"a name with a slash":                                   says(named("a/b"), "metadata.name", 3, "is not accepted"),
		"a name with dots":                                      says(named(".."), "metadata.name", 3, "is not accepted"),
		"a name of 300 characters":                              says(named(strings.Repeat("a", 300)), "metadata.name", 3, "300 characters long"),
		"a name of an infrastructure other than in the subject": says(named("other"), "metadata.name", 3, `is "other" but the event was published for "shop"`),
		"an environment other than in the subject": func(s schemas.Scope) nonsense {
			other := s
			other.Environment = "elsewhere"
			return nonsense{body: envelope(document(other, "    - {name: net, type: Network}\n")),
				field: "spec.environment", line: 5, reason: fmt.Sprintf(`is "elsewhere" but the event was published for %q`, s.Environment)}
		},
		"a provider that the worker lacks": says(valid("    - {name: net, type: Network, provider: moon}\n"), "spec.resources[0].provider", 7, `no provider "moon"`),
		"an image that does not exist": says(valid("    - name: net\n      type: Network\n    - name: web\n      type: Compute\n      properties:\n        image: windlass.local/nobody-made-this:1\n"),
			"spec.resources[1].properties.image", 12, "windlass.local/nobody-made-this:1"),
		"a broken header in binary mode": func(schemas.Scope) nonsense {
			header := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"%zz"}, "ce-source": {"/test"}, "ce-type": {schemas.CommandDeploymentRequested}}
			return nonsense{header: header, body: "{}", field: "ce-id", reason: ""}
		},
		"a name of 300 characters in the subject": func(s schemas.Scope) nonsense {
			long := strings.Repeat("a", 300)
			return nonsense{subject: "windlass.command." + s.Environment + "." + long + ".deployment.requested", unscoped: true,
				body:  envelope(document(schemas.Scope{Environment: s.Environment, Infrastructure: long}, "    - {name: net, type: Network}\n")),
				field: "metadata.name", line: 3, reason: "300 characters long"}
		},
		"a subject without a name": func(s schemas.Scope) nonsense {
			return nonsense{subject: "windlass.command." + s.Environment, unscoped: true, body: envelope(document(s, "    - {name: net, type: Network}\n")),
				field: "subject", reason: "is not of the form"}
		},
		"a subject with a wildcard": func(s schemas.Scope) nonsense {
			return nonsense{subject: "windlass.command." + s.Environment + ".*.deployment.requested", unscoped: true, body: envelope(document(s, "    - {name: net, type: Network}\n")),
				field: "metadata.name", line: 3, reason: "but the event was published for"}
		},
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scope := scopeOf(newEnvironment(t))
			n := make(scope)
			if n.subject == "" {
				n.subject = events.CommandSubject(scope, schemas.CommandDeploymentRequested)
			}
			ack, err := w.js.PublishMsg(t.Context(), &nats.Msg{Subject: n.subject, Header: n.header, Data: []byte(n.body)})
			require.NoError(t, err)
			w.destroy(t, scope)

			rejected := w.rejectionOf(t, ack.Sequence)
			require.NotEmpty(t, rejected.Command.Faults)
			fault := rejected.Command.Faults[0]
			require.Equal(t, n.field, fault.Field, "%v", rejected.Command.Faults)
			require.Contains(t, fault.Reason, n.reason)
			if n.line > 0 {
				require.Equal(t, n.line, fault.Line, "%v", rejected.Command.Faults)
			}
			w.requireDeadLetter(t, ack.Sequence, n.body)

			w.awaitEvent(t, scope, "that the next command is accepted", func(e schemas.Event) bool {
				return e.Type == schemas.StatusCommandAccepted && e.Command.CommandType == schemas.CommandDestroyRequested
			})
			w.awaitEvent(t, scope, "that the next command is done", func(e schemas.Event) bool {
				return e.Type == schemas.StatusDeploymentSucceeded && e.Deployment.Destroy
			})
			requireObjects(t, scope.Environment)
		})
	}
}

// aliasBomb is a document of a few lines that stands for a billion values.
func aliasBomb() string {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	return bomb.String()
}

// rejectionOf waits for the rejected event of the command at that place of the stream.
func (w *world) rejectionOf(t *testing.T, sequence uint64) schemas.Event {
	t.Helper()
	return w.awaitAny(t, fmt.Sprintf("that command %d is rejected", sequence), func(e schemas.Event) bool {
		return e.Type == schemas.StatusCommandRejected && e.Sequence == schemas.CommandSequence(sequence)
	})
}

// requireDeadLetter fails unless exactly one dead letter holds the message that was
// stored at that place of the stream of commands.
func (w *world) requireDeadLetter(t *testing.T, sequence uint64, body string) {
	t.Helper()
	stream, err := w.js.Stream(t.Context(), events.DeadLetterStream)
	require.NoError(t, err)
	letters := 0
	for next := uint64(1); ; {
		message, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		require.NoError(t, err)
		next = message.Sequence + 1
		if message.Header.Get("Windlass-Sequence") == fmt.Sprint(sequence) {
			letters++
			require.JSONEq(t, quoted(body), quoted(string(message.Data)))
			require.NotEmpty(t, message.Header.Get("Windlass-Reason"))
		}
	}
	require.Equal(t, 1, letters, "dead letters of command %d", sequence)
}

// quoted makes any text comparable as JSON: JSON itself as it is.
func quoted(text string) string {
	if json.Valid([]byte(text)) {
		return text
	}
	return asJSON(text)
}
