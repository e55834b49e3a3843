package events

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"windlass/schemas"
)

const (
	contentTypeHeader = "Content-Type"
	structuredType    = "application/cloudevents+json"
	binaryPrefix      = "ce-"
)

// Encode writes an event in structured mode on that subject, with the message id
// that lets JetStream drop a second copy.
func Encode(subject string, e event.Event) (*nats.Msg, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("encode event %q: %w", e.ID(), err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %q: %w", e.ID(), err)
	}
	message := nats.NewMsg(subject)
	message.Data = body
	message.Header.Set(contentTypeHeader, structuredType)
	message.Header.Set(nats.MsgIdHdr, Key(e.Source(), e.ID()))
	return message, nil
}

// Decode reads an event in structured or binary mode, as the NATS protocol binding
// of CloudEvents defines them; a message without any header is read as structured.
// The tree is the event's data. The error is of type schemas.Faults. The event
// holds what could be read even then.
func Decode(header nats.Header, body []byte) (event.Event, *schemas.Tree, error) {
	folded := fold(header)
	if len(body) > schemas.MaxDocumentBytes {
		return event.New(), nil, schemas.Faults{{Reason: fmt.Sprintf("the message is %d bytes long; at most %d are accepted", len(body), schemas.MaxDocumentBytes)}}
	}
	if strings.HasPrefix(folded["content-type"], "application/cloudevents-batch") {
		return event.New(), nil, schemas.Faults{{Field: contentTypeHeader, Reason: "batches are not accepted; publish one event a message"}}
	}
	if isBinary(folded) {
		return decodeBinary(folded, body)
	}
	return decodeStructured(body)
}

// fold makes the names of headers lower case; the first of several values counts.
func fold(header nats.Header) map[string]string {
	folded := map[string]string{}
	for name, values := range header {
		if len(values) > 0 {
			folded[strings.ToLower(name)] = values[0]
		}
	}
	return folded
}

func isBinary(folded map[string]string) bool {
	_, binary := folded[binaryPrefix+"specversion"]
	return binary && !strings.HasPrefix(folded["content-type"], "application/cloudevents")
}

func decodeStructured(body []byte) (event.Event, *schemas.Tree, error) {
	e := event.New()
	tree, err := schemas.ParseTree(body)
	if err != nil {
		return e, nil, err
	}
	attributes, ok := tree.Value.(map[string]any)
	if !ok {
		return e, nil, schemas.Faults{tree.Fault("", "is no CloudEvent: an object is expected")}
	}
	if faults := checkEnvelope(tree, attributes); len(faults) > 0 {
		id, _ := attributes["id"].(string)
		e.SetID(id)
		return e, nil, faults
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return event.New(), nil, schemas.Faults{tree.Fault("", "is no CloudEvent: "+err.Error())}
	}
	if err := e.Validate(); err != nil {
		return e, nil, schemas.Faults{tree.Fault("", "is no valid CloudEvent: "+oneLine(err))}
	}
	if _, ok := attributes["data_base64"]; ok {
		data, err := schemas.ParseTree(e.Data())
		return e, data, err
	}
	data, ok := tree.Member("data")
	if !ok {
		return e, nil, schemas.Faults{tree.Fault("", `"data" is missing`)}
	}
	return e, data, nil
}

var requiredAttributes = []string{"specversion", "id", "source", "type"}

// checkEnvelope finds what the SDK's reader lets pass.
func checkEnvelope(tree *schemas.Tree, attributes map[string]any) schemas.Faults {
	var faults schemas.Faults
	for _, name := range requiredAttributes {
		value, given := attributes[name]
		text, isText := value.(string)
		switch {
		case !given:
			faults = append(faults, tree.Fault("", fmt.Sprintf("is no CloudEvent: %q is missing", name)))
		case !isText || text == "":
			faults = append(faults, tree.Fault(name, "text that is not empty is expected"))
		case name == "specversion" && text != event.CloudEventsVersionV1:
			faults = append(faults, tree.Fault(name, fmt.Sprintf("%q is not accepted; accepted is %q", text, event.CloudEventsVersionV1)))
		}
	}
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if name != "data_base64" && strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			faults = append(faults, tree.Fault(name, "an attribute's name may hold lower-case letters and digits only"))
		}
	}
	_, data := attributes["data"]
	encoded, base := attributes["data_base64"]
	if data && base {
		faults = append(faults, tree.Fault("data_base64", "data and data_base64 exclude each other"))
	}
	if text, isText := encoded.(string); base && isText {
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			faults = append(faults, tree.Fault("data_base64", "is not valid base64"))
		}
	}
	if kind, given := attributes["datacontenttype"]; given {
		text, _ := kind.(string)
		if !isJSON(text) {
			faults = append(faults, tree.Fault("datacontenttype", fmt.Sprintf("%q is not accepted; accepted is application/json", text)))
		}
	}
	return faults
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

func decodeBinary(header map[string]string, body []byte) (event.Event, *schemas.Tree, error) {
	e := event.New()
	attributes := map[string]string{}
	var faults schemas.Faults
	for name, value := range header {
		attribute, ok := strings.CutPrefix(name, binaryPrefix)
		if !ok {
			continue
		}
		decoded, err := url.PathUnescape(value)
		if err != nil || !utf8.ValidString(decoded) {
			faults = append(faults, schemas.Fault{Field: name, Reason: "is not percent-encoded UTF-8"})
			continue
		}
		attributes[attribute] = decoded
	}
	e.SetID(attributes["id"])
	for _, name := range requiredAttributes {
		if attributes[name] == "" {
			faults = append(faults, schemas.Fault{Field: binaryPrefix + name, Reason: "text that is not empty is expected"})
		}
	}
	contentType := attributes["datacontenttype"]
	if contentType == "" {
		contentType = header["content-type"]
	}
	if contentType != "" && !isJSON(contentType) {
		faults = append(faults, schemas.Fault{Field: binaryPrefix + "datacontenttype", Reason: fmt.Sprintf("%q is not accepted; accepted is application/json", contentType)})
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b schemas.Fault) int { return strings.Compare(a.Field, b.Field) })
		return e, nil, faults
	}
	data, err := schemas.ParseTree(body)
	if err != nil {
		return e, nil, err
	}
	// The SDK's reader knows every attribute's type, so the binary form is read
	// by way of the structured one.
	envelope := map[string]any{"data": json.RawMessage(body)}
	for name, value := range attributes {
		envelope[name] = value
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return e, nil, schemas.Faults{{Field: "data", Reason: "is not valid JSON: " + err.Error()}}
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, nil, schemas.Faults{{Reason: "is no CloudEvent: " + err.Error()}}
	}
	if err := e.Validate(); err != nil {
		return e, nil, schemas.Faults{{Reason: "is no valid CloudEvent: " + oneLine(err)}}
	}
	return e, data, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
