package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

type yamlReader struct {
	places map[string]Place
	nodes  int
}

func parseYAML(text []byte) (*Tree, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, Faults{{Line: 1, Column: 1, Reason: "is empty; a document is expected"}}
		}
		return nil, yamlFault(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, Faults{{Line: second.Line, Column: second.Column, Reason: "a second YAML document starts here; give one document at a time"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlFault(err)
	}
	return newYAMLTree(&document)
}

func newYAMLTree(document *yaml.Node) (*Tree, error) {
	r := &yamlReader{places: map[string]Place{}}
	r.places[""] = Place{Line: document.Line, Column: document.Column}
	value, err := r.value(document.Content[0], "", 0)
	if err != nil {
		return nil, err
	}
	return &Tree{Value: value, places: r.places}, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

func yamlFault(err error) Faults {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := Fault{Line: 1, Column: 1}
	if m := yamlLine.FindStringSubmatch(reason); m != nil {
		fault.Line, _ = strconv.Atoi(m[1])
		fault.Column = 0
		reason = strings.Replace(reason, m[0], "", 1)
	}
	fault.Reason = "is not valid YAML: " + reason
	return Faults{fault}
}

func (r *yamlReader) value(n *yaml.Node, path string, depth int) (any, error) {
	r.nodes++
	place := Place{Line: n.Line, Column: n.Column}
	if depth > MaxDepth {
		return nil, tooDeep(path, place)
	}
	if r.nodes > MaxNodes {
		return nil, tooMany(place)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, path, depth)
	case yaml.SequenceNode:
		array := make([]any, len(n.Content))
		for i, item := range n.Content {
			element := elementPath(path, i)
			r.places[element] = Place{Line: item.Line, Column: item.Column}
			var err error
			if array[i], err = r.value(item, element, depth+1); err != nil {
				return nil, err
			}
		}
		return array, nil
	default:
		return scalar(n, path)
	}
}

func (r *yamlReader) mapping(n *yaml.Node, path string, depth int) (any, error) {
	object := map[string]any{}
	var merged []map[string]any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, item := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, Faults{{Field: path, Line: key.Line, Column: key.Column, Reason: "a key must be plain text"}}
		}
		if key.Tag == "!!merge" {
			values, err := r.merge(item, path, depth)
			if err != nil {
				return nil, err
			}
			merged = append(merged, values...)
			continue
		}
		member := memberPath(path, key.Value)
		if _, twice := object[key.Value]; twice {
			return nil, Faults{{Field: member, Line: key.Line, Column: key.Column, Reason: fmt.Sprintf("%q is given twice", key.Value)}}
		}
		r.places[member] = Place{Line: key.Line, Column: key.Column}
		var err error
		if object[key.Value], err = r.value(item, member, depth+1); err != nil {
			return nil, err
		}
	}
	for _, m := range merged {
		for name, value := range m {
			if _, own := object[name]; !own {
				object[name] = value
			}
		}
	}
	return object, nil
}

func (r *yamlReader) merge(item *yaml.Node, path string, depth int) ([]map[string]any, error) {
	value, err := r.value(item, path, depth+1)
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var objects []map[string]any
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, Faults{{Field: path, Line: item.Line, Column: item.Column, Reason: "<< merges objects only"}}
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func scalar(n *yaml.Node, path string) (any, error) {
	fault := func(reason string) error {
		return Faults{{Field: path, Line: n.Line, Column: n.Column, Reason: reason}}
	}
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fault(fmt.Sprintf("%q is neither true nor false", n.Value))
		}
		return b, nil
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			return nil, fault(fmt.Sprintf("%q is no whole number of 64 bits", n.Value))
		}
		return json.Number(strconv.FormatInt(i, 10)), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fault(fmt.Sprintf("%q is no finite number", n.Value))
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	default:
		return nil, fault(fmt.Sprintf("the YAML tag %s is not supported", n.Tag))
	}
}
