package events

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"windlass/schemas"
)

const (
	contentTypeHeader = "Content-Type"
	structuredType    = "application/cloudevents+json"
)

// maxAttribute bounds an attribute's value in bytes: identities travel through
// workflows and come back in every status event.
const maxAttribute = 1024

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
	if strings.HasPrefix(strings.ToLower(folded["content-type"]), "application/cloudevents-batch") {
		return event.New(), nil, schemas.Faults{{Field: contentTypeHeader, Reason: "batches are not accepted; publish one event a message"}}
	}
	if isBinary(folded) {
		return decodeBinary(folded, body)
	}
	return decodeStructured(body)
}

// fold makes the names of headers lower case. The first of several values counts,
// and of several spellings the first in the order of the alphabet.
func fold(header nats.Header) map[string]string {
	folded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lower := strings.ToLower(name)
		if _, twice := folded[lower]; !twice && len(header[name]) > 0 {
			folded[lower] = header[name][0]
		}
	}
	return folded
}

func decodeStructured(body []byte) (event.Event, *schemas.Tree, error) {
	e := event.New()
	tree, err := schemas.ParseTree(body)
	if err != nil {
		return e, nil, err
	}
	attributes, ok := tree.Value.(map[string]any)
	if !ok || !json.Valid(body) || !utf8.Valid(body) {
		return e, nil, schemas.Faults{tree.Fault("", "is no CloudEvent: a JSON object in UTF-8 is expected")}
	}
	id, _ := attributes["id"].(string)
	e.SetID(clip(id))
	if faults := checkEnvelope(tree, attributes); len(faults) > 0 {
		return e, nil, faults
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return e, nil, schemas.Faults{tree.Fault("", "is no CloudEvent: "+oneLine(err))}
	}
	text, data := []byte(members["data"]), (*schemas.Tree)(nil)
	if encoded, ok := attributes["data_base64"].(string); ok {
		if text, err = base64.StdEncoding.DecodeString(encoded); err == nil {
			data, err = parseData(text)
		}
		if err != nil {
			return e, nil, err
		}
	} else if data, ok = tree.Member("data"); !ok {
		return e, nil, schemas.Faults{tree.Fault("", `"data" is missing`)}
	}
	whole, err := assemble(attributes, text)
	if err != nil {
		return e, nil, schemas.Faults{tree.Fault("", err.Error())}
	}
	return whole, data, nil
}

// assemble makes an event of attributes that were checked, and of JSON data. The
// SDK knows every attribute's type; its reader of data is not used, since it
// stumbles over white space and takes only application/json for JSON.
func assemble(attributes map[string]any, data []byte) (event.Event, error) {
	given := map[string]any{}
	for name, value := range attributes {
		if name != "data" && name != "data_base64" && value != nil {
			given[name] = value
		}
	}
	e := event.New()
	text, err := json.Marshal(given)
	if err != nil {
		return e, fmt.Errorf("is no CloudEvent: %s", oneLine(err))
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return event.New(), fmt.Errorf("is no CloudEvent: %s", oneLine(err))
	}
	e.DataEncoded = data
	if err := e.Validate(); err != nil {
		return e, fmt.Errorf("is no valid CloudEvent: %s", oneLine(err))
	}
	return e, nil
}

// parseData reads data that is a text of its own.
func parseData(text []byte) (*schemas.Tree, error) {
	tree, err := schemas.ParseTree(text)
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) || !utf8.Valid(text) {
		return nil, schemas.Faults{tree.Fault("data", "is not valid JSON in UTF-8")}
	}
	return tree, nil
}

var requiredAttributes = []string{"specversion", "id", "source", "type"}

// checkEnvelope finds what the SDK's reader lets pass, or falls over.
func checkEnvelope(tree *schemas.Tree, attributes map[string]any) schemas.Faults {
	var faults schemas.Faults
	fault := func(name, reason string) { faults = append(faults, tree.Fault(name, reason)) }
	for _, name := range requiredAttributes {
		value, given := attributes[name]
		text, isText := value.(string)
		switch {
		case !given:
			fault(name, "is missing; a CloudEvent has "+strings.Join(requiredAttributes, ", "))
		case !isText || text == "":
			fault(name, "text that is not empty is expected")
		case name == "specversion" && text != event.CloudEventsVersionV1:
			fault(name, fmt.Sprintf("%q is not accepted; accepted is %q", clip(text), event.CloudEventsVersionV1))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		text, _ := attributes[name].(string)
		switch {
		case name == "data" || name == "data_base64":
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }):
			fault(name, "an attribute's name may hold lower-case letters and digits only")
		case len(text) > maxAttribute:
			fault(name, fmt.Sprintf("is %d bytes long; at most %d are accepted", len(text), maxAttribute))
		}
	}
	if encoded, given := attributes["data_base64"]; given {
		text, isText := encoded.(string)
		if _, both := attributes["data"]; both {
			fault("data_base64", "data and data_base64 exclude each other")
		}
		if _, err := base64.StdEncoding.DecodeString(text); err != nil || !isText {
			fault("data_base64", "is not valid base64")
		}
	}
	if kind := attributes["datacontenttype"]; kind != nil {
		if text, _ := kind.(string); !isJSON(text) {
			fault("datacontenttype", fmt.Sprintf("%q is not accepted; accepted is application/json", clip(text)))
		}
	}
	return faults
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// clip shortens a text that strangers chose to what may be passed on.
func clip(text string) string {
	if len(text) <= maxAttribute {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return strings.ToValidUTF8(text[:maxAttribute], "") + "..."
}
