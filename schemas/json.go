package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

type jsonReader struct {
	text    []byte
	decoder *json.Decoder
	lines   []int // offsets at which lines start
	places  map[string]Place
	nodes   int
}

func parseJSON(text []byte) (*Tree, error) {
	r := &jsonReader{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), lines: []int{0}, places: map[string]Place{}}
	r.decoder.UseNumber()
	for i, c := range text {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	r.places[""] = r.next()
	value, err := r.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		p := r.next()
		return nil, Faults{{Line: p.Line, Column: p.Column, Reason: "more text follows the end of the JSON value"}}
	}
	return &Tree{Value: value, places: r.places}, nil
}

// next is where the next token starts.
func (r *jsonReader) next() Place { return r.after(" \t\r\n,:") }

// after is the place behind the last token and any of the skipped characters.
func (r *jsonReader) after(skipped string) Place {
	offset := int(r.decoder.InputOffset())
	for offset < len(r.text) && strings.IndexByte(skipped, r.text[offset]) >= 0 {
		offset++
	}
	return r.place(offset)
}

func (r *jsonReader) place(offset int) Place {
	line := sort.SearchInts(r.lines, offset+1)
	return Place{Line: line, Column: offset - r.lines[line-1] + 1}
}

func (r *jsonReader) token() (json.Token, error) {
	token, err := r.decoder.Token()
	if err == nil {
		return token, nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		p := r.after(" \t\r\n:")
		return nil, Faults{{Line: p.Line, Column: p.Column, Reason: "is not valid JSON: " + syntax.Error()}}
	}
	p := r.place(len(r.text))
	return nil, Faults{{Line: p.Line, Column: p.Column, Reason: "is not valid JSON: the text ends too early"}}
}

func (r *jsonReader) value(path string, depth int) (any, error) {
	r.nodes++
	if depth > MaxDepth {
		return nil, tooDeep(path, r.next())
	}
	if r.nodes > MaxNodes {
		return nil, tooMany(r.next())
	}
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return r.object(path, depth)
	case json.Delim('['):
		return r.array(path, depth)
	}
	return token, nil
}

func (r *jsonReader) object(path string, depth int) (any, error) {
	object := map[string]any{}
	for r.decoder.More() {
		place := r.next()
		key, err := r.token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, Faults{{Field: path, Line: place.Line, Column: place.Column, Reason: "is not valid JSON: a member's name must be a string"}}
		}
		member := memberPath(path, name)
		if _, twice := object[name]; twice {
			return nil, Faults{{Field: member, Line: place.Line, Column: place.Column, Reason: fmt.Sprintf("%q is given twice", name)}}
		}
		r.places[member] = place
		if object[name], err = r.value(member, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := r.token()
	return object, err
}

func (r *jsonReader) array(path string, depth int) (any, error) {
	array := []any{}
	for r.decoder.More() {
		element := elementPath(path, len(array))
		r.places[element] = r.next()
		value, err := r.value(element, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := r.token()
	return array, err
}
