package schemas

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// withParameter is a Template with one parameter, used as the text of a label.
func withParameter(declaration string) []byte {
	return fmt.Appendf(nil, `apiVersion: windlass/v1
kind: Template
metadata: {name: web, labels: {value: "is ${param.it}"}}
spec:
  environment: staging
  parameters:
    - {name: it, %s}
  resources: []
`, declaration)
}

func TestAValueOutsideItsConstraintsIsRefusedWithWhatIsAccepted(t *testing.T) {
	for name, test := range map[string]struct {
		declaration string
		value       any
		want        string
	}{
		"text that is not allowed":      {`type: String, allowed: [staging, production], description: where to deploy`, "prod", `parameter "it" of type String cannot be "prod"; accepted is one of "staging", "production" (where to deploy)`},
		"text that is too short":        {`type: String, minLength: 3, maxLength: 5`, "ab", `parameter "it" of type String cannot be "ab"; accepted is text of 3 to 5 characters`},
		"text that is too long":         {`type: String, maxLength: 5`, "abcdef", `parameter "it" of type String cannot be "abcdef"; accepted is text of at most 5 characters`},
		"text that does not match":      {`type: String, pattern: "^[a-z]+$"`, "A1", `parameter "it" of type String cannot be "A1"; accepted is text in quotes, matching ^[a-z]+$`},
		"a number that is too small":    {`type: Number, minimum: 1, maximum: 10`, "0", `parameter "it" of type Number cannot be "0"; accepted is a number, 1 to 10`},
		"a number that is too large":    {`type: Number, maximum: 0.5`, json.Number("0.6"), `parameter "it" of type Number cannot be 0.6; accepted is a number, at most 0.5`},
		"a number that is not allowed":  {`type: Number, allowed: [1, 2.0]`, json.Number("3"), `parameter "it" of type Number cannot be 3; accepted is one of 1, 2`},
		"a number beyond all numbers":   {`type: Number`, json.Number("1e400"), `parameter "it" of type Number cannot be 1e400; accepted is a number such as 3 or 0.5`},
		"a list with too few items":     {`type: List, minItems: 1`, []any{}, `parameter "it" of type List cannot be []; accepted is a list of at least 1 items, or text with commas such as a,b`},
		"a list with too many items":    {`type: List, maxItems: 1`, "a,b", `parameter "it" of type List cannot be "a,b"; accepted is a list of at most 1 items, or text with commas such as a,b`},
		"an item that is not allowed":   {`type: List, allowed: [a, b]`, "a,c", `accepted is a list, or text with commas such as a,b, each one of "a", "b"`},
		"an item that does not match":   {`type: List, pattern: "^[a-z]$"`, []any{"a", "bb"}, `each matching ^[a-z]$`},
		"a required one that is absent": {`type: String, required: true, description: where to deploy`, nil, `parameter "it" is required; give a value of type String (where to deploy)`},
		"an empty one that is used":     {`type: Number, minimum: 1`, nil, `${param.it}: parameter "it" is given no value; accepted is a number, at least 1`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(withParameter(test.declaration), map[string]any{"it": test.value})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAValueWithinItsConstraintsIsTaken(t *testing.T) {
	for name, test := range map[string]struct {
		declaration string
		value       any
		want        string
	}{
		"one of the allowed":             {`type: String, allowed: [staging, production]`, "production", "is production"},
		"an allowed number in text":      {`type: Number, allowed: [1, 2]`, "2.0", "is 2.0"},
		"both ends of a range":           {`type: Number, minimum: 3, maximum: 3`, "3", "is 3"},
		"characters, not bytes":          {`type: String, maxLength: 2`, "äö", "is äö"},
		"a part that matches":            {`type: String, pattern: "b"`, "abc", "is abc"},
		"a list, joined":                 {`type: List, minItems: 2, maxItems: 2`, []any{"a", json.Number("1")}, "is a,1"},
		"a list of objects, as JSON":     {`type: List`, []any{map[string]any{"a": true}}, `is {"a":true}`},
		"the default":                    {`type: Number, minimum: 1, default: 2`, nil, "is 2"},
		"null is none, the default then": {`type: Boolean, default: true`, nil, "is true"},
		"nothing":                        {`type: List, pattern: "^a$"`, nil, "is "},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := Parse(withParameter(test.declaration), map[string]any{"it": test.value})
			require.NoError(t, err)
			require.Equal(t, test.want, document.Metadata.Labels["value"])
		})
	}
}

func TestAnEmptyParameterThatIsNotUsedMayBeOutsideItsConstraints(t *testing.T) {
	text := []byte("apiVersion: windlass/v1\nkind: Template\nmetadata: {name: web}\nspec:\n  environment: a\n  parameters: [{name: it, type: Number, minimum: 1}]\n  resources: []\n")
	_, err := Parse(text, nil)
	require.NoError(t, err)
}

func TestADeclarationThatContradictsItselfIsRefused(t *testing.T) {
	for declaration, want := range map[string]string{
		`type: String, minimum: 1`:                     `line 7, column 32: spec.parameters[0].minimum: minimum has no meaning for a String, which takes allowed, minLength, maxLength, pattern`,
		`type: Boolean, allowed: [true]`:               `spec.parameters[0].allowed: allowed has no meaning for a Boolean, which is true or false`,
		`type: Number, minimum: 2, maximum: 1`:         `spec.parameters[0].maximum: 1 is less than minimum 2`,
		`type: String, minLength: 2, maxLength: 1`:     `spec.parameters[0].maxLength: 1 is less than minLength 2`,
		`type: List, minItems: 2, maxItems: 1`:         `spec.parameters[0].maxItems: 1 is less than minItems 2`,
		`type: String, pattern: "("`:                   `line 7, column 32: spec.parameters[0].pattern: "(" is no regular expression: missing closing )`,
		`type: Number, default: many`:                  `spec.parameters[0].default: parameter "it" of type Number cannot be "many"; accepted is a number such as 3 or 0.5`,
		`type: Number, maximum: 3, default: 4`:         `spec.parameters[0].default: parameter "it" of type Number cannot be 4; accepted is a number, at most 3`,
		`type: String, default: 3`:                     `spec.parameters[0].default: parameter "it" of type String cannot be 3; accepted is text in quotes`,
		`type: Number, allowed: [1, many]`:             `spec.parameters[0].allowed: parameter "it" of type Number cannot be "many"`,
		`type: String, allowed: []`:                    `spec.parameters[0].allowed: has 0 entries; at least 1 are expected`,
		`type: String, minLength: -1`:                  `line 7, column 32: spec.parameters[0].minLength: -1 is too small; at least 0 is accepted`,
		`type: Text`:                                   `line 7, column 18: spec.parameters[0].type: "Text" is not accepted; accepted are "String", "Number", "Boolean", "List"`,
		`type: String, least: 1`:                       `spec.parameters[0].least: unknown field; accepted are allowed, default, description, maxItems`,
		"type: String}\n    - {name: it, type: Number": `spec.parameters[1].name: parameter "it" is declared twice`,
		"type: Number}\n    - {name: b, type: Map":     `spec.parameters[1].type: "Map" is not accepted`,
	} {
		t.Run(declaration, func(t *testing.T) {
			_, err := Parse(withParameter(declaration), map[string]any{"it": "1"})
			require.ErrorContains(t, err, want)
		})
	}
}
