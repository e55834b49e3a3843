package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// schema is a JSON Schema as far as it is told to people.
type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Description          string             `json:"description"`
	Default              json.RawMessage    `json:"default"`
	Type                 string             `json:"type"`
	Enum                 []any              `json:"enum"`
	Const                any                `json:"const"`
	Minimum              *json.Number       `json:"minimum"`
	Maximum              *json.Number       `json:"maximum"`
	MaxLength            *json.Number       `json:"maxLength"`
	MinItems             *json.Number       `json:"minItems"`
	MaxItems             *json.Number       `json:"maxItems"`
	MaxProperties        *json.Number       `json:"maxProperties"`
	Items                *schema            `json:"items"`
	Required             []string           `json:"required"`
	Properties           members            `json:"properties"`
	PatternProperties    members            `json:"patternProperties"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
}

// members are the members of an object in the order of the text.
type members []member

type member struct {
	name   string
	schema *schema
}

// UnmarshalJSON is part of json.Unmarshaler.
func (m *members) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		one := member{name: fmt.Sprint(name), schema: &schema{}}
		if err := decoder.Decode(one.schema); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		*m = append(*m, one)
	}
	return nil
}

// of is the member of that name, or nil.
func (m members) of(name string) *schema {
	for _, one := range m {
		if one.name == name {
			return one.schema
		}
	}
	return nil
}

// definition is the one that a schema refers to, or the schema itself.
func (s *schema) definition(defs map[string]*schema) *schema {
	if s.Ref == "" {
		return s
	}
	_, name, _ := strings.Cut(s.Ref, "#/$defs/") // of this schema, or of that of documents
	return defs[name]
}
