package events

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cloudhttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const anyData = `{"environment":"staging","infrastructure":"users"}`

// envelope is a structured event; a member that is "" is left out, and more is put
// at its end.
func envelope(members map[string]string, more string) string {
	all := map[string]string{
		"specversion": `"1.0"`, "id": `"a-1"`, "source": `"/test"`, "type": `"` + schemas.CommandDestroyRequested + `"`, "data": anyData,
	}
	for name, value := range members {
		all[name] = value
	}
	var parts []string
	for _, name := range []string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"} {
		if all[name] != "" {
			parts = append(parts, "\n  \""+name+"\": "+all[name])
		}
	}
	return "{" + strings.Join(parts, ",") + more + "\n}"
}

func binaryHeader(change map[string]string) nats.Header {
	header := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"a-1"}, "ce-source": {"/test"}, "ce-type": {schemas.CommandDestroyRequested}}
	for name, value := range change {
		header[name] = []string{value}
		if value == "" {
			delete(header, name)
		}
	}
	return header
}

func fullEvent(t *testing.T) event.Event {
	t.Helper()
	e := event.New()
	e.SetID(`sp ace "quoted" 100% ü 世界`)
	e.SetSource("/ci/jobs?run=7")
	e.SetType(schemas.CommandDestroyRequested)
	e.SetSubject("staging/users")
	e.SetTime(time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC))
	e.SetDataSchema("https://schemas.test/destroy")
	e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	e.SetExtension("note", `a,b "c" %20 é`)
	require.NoError(t, e.SetData(event.ApplicationJSON, json.RawMessage(anyData)))
	return e
}

func TestAnEventSurvivesTheStructuredForm(t *testing.T) {
	want := fullEvent(t)
	message, err := Encode("windlass.command.staging.users.destroy.requested", want)
	require.NoError(t, err)
	require.Equal(t, structuredType, message.Header.Get("Content-Type"))
	require.Empty(t, message.Header.Get("ce-specversion"), "a peer would read it as binary")
	require.Equal(t, Key(want.Source(), want.ID()), message.Header.Get(nats.MsgIdHdr))

	got, data, err := Decode(message.Header, message.Data)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, map[string]any{"environment": "staging", "infrastructure": "users"}, data.Value)
}

func TestAnEventSurvivesTheBinaryForm(t *testing.T) {
	want := fullEvent(t)
	encode := func(text string) string { return strings.ReplaceAll(url.PathEscape(text), ":", "%3A") }
	header := nats.Header{
		"CE-SpecVersion": {"1.0"}, "Ce-Id": {encode(want.ID())}, "ce-source": {encode(want.Source())}, "CE-TYPE": {want.Type()},
		"ce-subject": {encode(want.Subject())}, "ce-time": {encode(want.Time().Format(time.RFC3339Nano))}, "ce-dataschema": {encode(want.DataSchema())},
		"ce-datacontenttype": {"application/json"}, "ce-traceparent": {want.Extensions()["traceparent"].(string)},
		"ce-Note": {encode(want.Extensions()["note"].(string))}, "Unrelated": {"%zz"},
	}
	got, data, err := Decode(header, []byte(anyData))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, map[string]any{"environment": "staging", "infrastructure": "users"}, data.Value)
}

func TestDecodeReadsEveryAcceptedForm(t *testing.T) {
	tests := map[string]struct {
		header nats.Header
		body   string
	}{
		"structured without any header":                      {nil, envelope(nil, "")},
		"structured with its content type":                   {nats.Header{"Content-Type": {structuredType}}, envelope(nil, "")},
		"structured with a content type in other letters":    {nats.Header{"content-TYPE": {"Application/CloudEvents+JSON; charset=UTF-8"}}, envelope(nil, "")},
		"structured with its version in the headers as well": {nats.Header{"content-type": {structuredType}, "ce-specversion": {"1.0"}}, envelope(nil, "")},
		"structured with data in base64":                     {nil, envelope(map[string]string{"data": "", "data_base64": `"` + base64.StdEncoding.EncodeToString([]byte(anyData)) + `"`}, "")},
		"structured with extensions of every type":           {nil, envelope(nil, `, "text": "x", "number": 7, "flag": true`)},
		"structured with optional attributes that are null":  {nil, envelope(map[string]string{"subject": "null", "datacontenttype": "null", "time": "null"}, `, "more": null`)},
		"structured with another kind of JSON":               {nil, envelope(map[string]string{"datacontenttype": `"application/vnd.windlass+json; charset=utf-8"`}, "")},
		"binary":                                             {binaryHeader(nil), anyData},
		"binary with a content type":                         {binaryHeader(map[string]string{"Content-Type": "application/json"}), anyData},
		"binary with both content types":                     {binaryHeader(map[string]string{"content-type": "text/plain", "ce-datacontenttype": "application/json"}), anyData},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e, data, err := Decode(test.header, []byte(test.body))
			require.NoError(t, err)
			require.Equal(t, "a-1", e.ID())
			require.Equal(t, "/test", e.Source())
			require.Equal(t, schemas.CommandDestroyRequested, e.Type())
			require.JSONEq(t, anyData, string(e.Data()))
			require.Equal(t, map[string]any{"environment": "staging", "infrastructure": "users"}, data.Value)
		})
	}
}

func TestDecodeRefusesWhatIsMalformed(t *testing.T) {
	long := strings.Repeat("x", maxAttribute+1)
	tests := map[string]struct {
		header nats.Header
		body   string
		field  string
		line   int
		reason string
	}{
		"nothing":                             {nil, "", "", 1, "is empty"},
		"text":                                {nil, "hello", "", 1, "a JSON object in UTF-8 is expected"},
		"a list":                              {nil, "[1,2]", "", 1, "a JSON object in UTF-8 is expected"},
		"JSON that breaks off":                {nil, `{"id": "a",`, "", 1, "is not valid JSON"},
		"YAML":                                {nil, "specversion: \"1.0\"\nid: a\nsource: /a\ntype: b\ndata: {}", "", 1, "a JSON object in UTF-8 is expected"},
		"text that is not UTF-8":              {nil, envelope(map[string]string{"subject": "\"\xff\""}, ""), "", 1, "a JSON object in UTF-8 is expected"},
		"JSON that is no event":               {nil, `{"hello": "world"}`, "id", 1, "is missing"},
		"no id":                               {nil, envelope(map[string]string{"id": ""}, ""), "id", 1, "is missing"},
		"an empty id":                         {nil, envelope(map[string]string{"id": `""`}, ""), "id", 3, "text that is not empty"},
		"an id that is null":                  {nil, envelope(map[string]string{"id": "null"}, ""), "id", 3, "text that is not empty"},
		"an id that is a number":              {nil, envelope(map[string]string{"id": "7"}, ""), "id", 3, "text that is not empty"},
		"an id without end":                   {nil, envelope(map[string]string{"id": `"` + long + `"`}, ""), "id", 3, "at most 1024"},
		"an empty source":                     {nil, envelope(map[string]string{"source": `""`}, ""), "source", 4, "text that is not empty"},
		"a source that is no URI":             {nil, envelope(map[string]string{"source": `"%zz"`}, ""), "", 1, "CloudEvent"},
		"no type":                             {nil, envelope(map[string]string{"type": ""}, ""), "type", 1, "is missing"},
		"another version":                     {nil, envelope(map[string]string{"specversion": `"0.3"`}, ""), "specversion", 2, `accepted is "1.0"`},
		"a time that is none":                 {nil, envelope(map[string]string{"time": `"yesterday"`}, ""), "", 1, "CloudEvent"},
		"an attribute given twice":            {nil, envelope(nil, `, "id": "a-2"`), "id", 6, "given twice"},
		"data given twice":                    {nil, envelope(nil, `, "data": {}`), "data", 6, "given twice"},
		"a member of data given twice":        {nil, envelope(map[string]string{"data": `{"a":1,"a":2}`}, ""), "data.a", 6, "given twice"},
		"data and base64":                     {nil, envelope(map[string]string{"data_base64": `"e30="`}, ""), "data_base64", 7, "exclude each other"},
		"base64 that is none":                 {nil, envelope(map[string]string{"data": "", "data_base64": `"***"`}, ""), "data_base64", 6, "not valid base64"},
		"base64 that is a number":             {nil, envelope(map[string]string{"data": "", "data_base64": `5`}, ""), "data_base64", 6, "not valid base64"},
		"base64 that is null":                 {nil, envelope(map[string]string{"data": "", "data_base64": `null`}, ""), "data_base64", 6, "not valid base64"},
		"base64 of YAML":                      {nil, envelope(map[string]string{"data": "", "data_base64": `"YTogMQ=="`}, ""), "data", 1, "not valid JSON"},
		"no data":                             {nil, envelope(map[string]string{"data": ""}, ""), "", 1, `"data" is missing`},
		"an extension in upper case":          {nil, envelope(nil, `, "traceParent": "x"`), "traceParent", 6, "lower-case"},
		"an extension with a hyphen":          {nil, envelope(nil, `, "trace-parent": "x"`), "trace-parent", 6, "lower-case"},
		"an attribute without a name":         {nil, `{"": 1, ` + envelope(nil, "")[1:], "", 1, "lower-case"},
		"an extension that is an object":      {nil, envelope(nil, `, "more": {"a": 1}`), "", 1, "CloudEvent"},
		"data that is not JSON":               {nil, envelope(map[string]string{"datacontenttype": `"text/xml"`, "data": `"<a/>"`}, ""), "datacontenttype", 6, "accepted is application/json"},
		"a batch":                             {nats.Header{"Content-Type": {"Application/CloudEvents-Batch+JSON"}}, "[" + envelope(nil, "") + "]", "Content-Type", 0, "batches are not accepted"},
		"a message larger than a document":    {nil, envelope(map[string]string{"subject": `"` + strings.Repeat("x", schemas.MaxDocumentBytes) + `"`}, ""), "", 0, "at most 1048576"},
		"a document nested 10,000 deep":       {nil, envelope(map[string]string{"data": strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)}, ""), "data[0][0]", 6, "nested deeper"},
		"binary without an id":                {binaryHeader(map[string]string{"ce-id": ""}), anyData, "ce-id", 0, "is missing"},
		"binary of another version":           {binaryHeader(map[string]string{"ce-specversion": "0.3"}), anyData, "ce-specversion", 0, `accepted is "1.0"`},
		"binary with broken percent-encoding": {binaryHeader(map[string]string{"ce-subject": "100%"}), anyData, "ce-subject", 0, "percent-encoded"},
		"binary with encoded bytes that are not UTF-8":  {binaryHeader(map[string]string{"ce-subject": "%FF%FE"}), anyData, "ce-subject", 0, "percent-encoded"},
		"binary with plain bytes that are not UTF-8":    {binaryHeader(map[string]string{"ce-subject": "\xff"}), anyData, "ce-subject", 0, "percent-encoded"},
		"binary with an attribute that cannot be named": {binaryHeader(map[string]string{"ce-a_b": "x"}), anyData, "ce-a_b", 0, "lower-case"},
		"binary with data among its headers":            {binaryHeader(map[string]string{"ce-data": `{"environment":"production"}`}), anyData, "ce-data", 0, "is the body"},
		"binary with base64 among its headers":          {binaryHeader(map[string]string{"ce-data_base64": `e30=`}), anyData, "ce-data_base64", 0, "is the body"},
		"binary with data that is not JSON":             {binaryHeader(map[string]string{"ce-datacontenttype": "text/plain"}), "hello", "ce-datacontenttype", 0, "accepted is application/json"},
		"binary with a content type that is not JSON":   {binaryHeader(map[string]string{"Content-Type": "text/plain"}), "hello", "ce-datacontenttype", 0, "accepted is application/json"},
		"binary with YAML":                              {binaryHeader(nil), "environment: staging", "data", 1, "not valid JSON"},
		"binary with nothing":                           {binaryHeader(nil), "", "", 1, "is empty"},
		"binary with a time that is none":               {binaryHeader(map[string]string{"ce-time": "yesterday"}), anyData, "", 0, "CloudEvent"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := Decode(test.header, []byte(test.body))
			var faults schemas.Faults
			require.ErrorAs(t, err, &faults)
			found := false
			for _, fault := range faults {
				found = found || strings.HasPrefix(fault.Field, test.field) && fault.Line == test.line && strings.Contains(fault.Reason, test.reason)
			}
			require.Truef(t, found, "no fault at field %q, line %d that says %q: %#v", test.field, test.line, test.reason, faults)
		})
	}
}

func TestDecodeKeepsTheIdOfARefusedEvent(t *testing.T) {
	e, _, err := Decode(nil, []byte(envelope(map[string]string{"specversion": `"2.0"`}, "")))
	require.Error(t, err)
	require.Equal(t, "a-1", e.ID())
	e, _, err = Decode(binaryHeader(map[string]string{"ce-specversion": "2.0"}), []byte(anyData))
	require.Error(t, err)
	require.Equal(t, "a-1", e.ID())
}

// The copies of one event have one identity only if the header that counts does
// not depend on the order of a map.
func TestOneOfTwoSpellingsOfAHeaderCountsAlways(t *testing.T) {
	header := binaryHeader(map[string]string{"CE-ID": "b-2", "Ce-Id": "c-3"})
	for range 50 {
		e, _, err := Decode(header, []byte(anyData))
		require.NoError(t, err)
		require.Equal(t, "b-2", e.ID())
	}
}

func TestTheSDKWritesWhatWeReadAndReadsWhatWeWrite(t *testing.T) {
	want := fullEvent(t)
	want.SetID("plain-1") // the SDK's HTTP writer does not encode
	want.SetExtension("note", "plain")

	text, err := json.Marshal(want)
	require.NoError(t, err)
	got, _, err := Decode(nats.Header{"Content-Type": {event.ApplicationCloudEventsJSON}}, text)
	require.NoError(t, err)
	require.Equal(t, want, got)

	message, err := Encode("a.b", want)
	require.NoError(t, err)
	var read event.Event
	require.NoError(t, json.Unmarshal(message.Data, &read))
	require.NoError(t, read.Validate())
	require.Equal(t, want, read)

	request, err := http.NewRequest(http.MethodPost, "http://test.invalid", nil)
	require.NoError(t, err)
	ctx := binding.WithForceBinary(t.Context())
	require.NoError(t, cloudhttp.WriteRequest(ctx, (*binding.EventMessage)(&want), request))
	got, _, err = Decode(nats.Header(request.Header), []byte(anyData))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEncodeRefusesWhatIsNoEvent(t *testing.T) {
	e := event.New()
	e.SetID("a-1")
	_, err := Encode("a.b", e)
	require.ErrorContains(t, err, `encode event "a-1"`)
}
