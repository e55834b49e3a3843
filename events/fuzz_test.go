package events

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// FuzzDecode holds whatever arrives: a message is either an event that is valid and
// comes back the same, or a list of faults. Both ways an answer can be published.
func FuzzDecode(f *testing.F) {
	body := envelope(nil, `, "traceparent": "00-a-b-01"`)
	f.Add("", "", "", "", []byte(body))
	f.Add(structuredType, "", "", "", []byte(envelope(map[string]string{"data": "", "data_base64": `"e30="`}, "")))
	f.Add(structuredType, "", "", "", []byte(envelope(map[string]string{"data": "", "data_base64": `5`}, "")))
	f.Add("", "", "", "", []byte(`{"":1,"specversion":"1.0"}`))
	f.Add("application/json", "1.0", "a%20b", "note", []byte(anyData))
	f.Add("text/plain", "1.0", "%", "data", []byte("a: &a [*a, *a]"))
	f.Add("application/cloudevents-batch+json", "", "", "", []byte("["+body+"]"))
	f.Add("", "", "", "", []byte("a: &a [x,x]\nb: &b [*a,*a]\n<<: {c: *b}\n"))
	f.Add("", "", "", "", []byte("# nothing but a comment"))
	f.Add("", "", "", "", []byte("---\n"))
	f.Add("", "", "", "", []byte(envelope(map[string]string{"data": `{"document": "a: *b\n"}`, "type": `"` + schemas.CommandDeploymentRequested + `"`}, "")))
	f.Add("", "", "", "", []byte(envelope(map[string]string{"data": `{"document": "--- # x"}`, "type": `"` + schemas.CommandDeploymentRequested + `"`}, "")))
	f.Fuzz(func(t *testing.T, contentType, version, id, extension string, body []byte) {
		header := nats.Header{"Content-Type": {contentType}, "ce-id": {id}, "ce-source": {"/fuzz"}, "ce-type": {"fuzz"}, "ce-" + extension: {id}}
		if version != "" {
			header["Ce-Specversion"] = []string{version}
		}
		e, data, err := Decode(header, body)
		command := schemas.CommandReference{Scope: schemas.Scope{Environment: "staging", Infrastructure: "users"}, ID: e.ID(), Source: e.Source(), Type: e.Type()}
		var faults schemas.Faults
		if err != nil {
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults)
		} else {
			require.NoError(t, e.Validate())
			message, err := Encode("a.b", e)
			require.NoError(t, err)
			again, _, err := Decode(message.Header, message.Data)
			require.NoError(t, err)
			require.Equal(t, e.ID(), again.ID())
			require.Equal(t, e.Source(), again.Source())
			for _, commandType := range schemas.CommandTypes {
				if _, err := schemas.ParseCommand(commandType, data); err != nil {
					require.ErrorAs(t, err, &faults)
				}
			}
		}
		answer, err := cloudEvent(Rejection(command, "key", time.Unix(0, 0), faults))
		require.NoError(t, err)
		message, err := Encode(StatusSubject(command.Scope, schemas.StatusCommandRejected), answer)
		require.NoError(t, err)
		require.Less(t, len(message.Data), 1<<20)
	})
}
