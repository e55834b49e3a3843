package events

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"

	"windlass/schemas"
)

const binaryPrefix = "ce-"

func isBinary(folded map[string]string) bool {
	_, binary := folded[binaryPrefix+"specversion"]
	return binary && !strings.HasPrefix(strings.ToLower(folded["content-type"]), "application/cloudevents")
}

// decodeBinary reads the attributes from the headers, whose names are lower case.
// The body is the data.
func decodeBinary(header map[string]string, body []byte) (event.Event, *schemas.Tree, error) {
	e := event.New()
	envelope, faults := binaryAttributes(header)
	id, _ := envelope["id"].(string)
	e.SetID(clip(id))
	if _, given := envelope["datacontenttype"]; !given && header["content-type"] != "" {
		envelope["datacontenttype"] = header["content-type"]
	}
	for _, fault := range checkEnvelope(&schemas.Tree{}, envelope) {
		if fault.Field != "" {
			fault.Field = binaryPrefix + fault.Field
		}
		faults = append(faults, fault)
	}
	for _, name := range []string{"data", "data_base64"} {
		if _, given := envelope[name]; given {
			faults = append(faults, schemas.Fault{Field: binaryPrefix + name, Reason: "is no attribute; the data is the body of the message"})
		}
	}
	if len(faults) > 0 {
		return e, nil, faults
	}
	data, err := parseData(body)
	if err != nil {
		return e, nil, err
	}
	whole, err := assemble(envelope, body)
	if err != nil {
		return e, nil, schemas.Faults{{Reason: err.Error()}}
	}
	return whole, data, nil
}

// binaryAttributes are the attributes in the headers, percent-decoded.
func binaryAttributes(header map[string]string) (map[string]any, schemas.Faults) {
	attributes := map[string]any{}
	var faults schemas.Faults
	for _, name := range slices.Sorted(maps.Keys(header)) {
		attribute, ok := strings.CutPrefix(name, binaryPrefix)
		if !ok {
			continue
		}
		value, err := url.PathUnescape(header[name])
		if err != nil || !utf8.ValidString(value) {
			faults = append(faults, schemas.Fault{Field: name, Reason: fmt.Sprintf("%q is not percent-encoded UTF-8", clip(header[name]))})
			continue
		}
		attributes[attribute] = value
	}
	return attributes, faults
}
