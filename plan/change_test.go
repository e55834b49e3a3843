package plan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestChangesNameTheFieldsThatDiffer(t *testing.T) {
	tests := map[string]struct {
		before, after string
		want          []schemas.Change
		words         string
	}{
		"nothing but order and white space": {`{"a":1,"b":[2]}`, `{ "b":[2], "a":1 }`, nil, ""},
		"nothing declared in either":        {``, `{}`, nil, ""},
		"a value": {
			`{"image":"users:1"}`, `{"image":"users:2"}`,
			[]schemas.Change{{Path: "image", From: "users:1", To: "users:2"}}, `changes image from "users:1" to "users:2"`,
		},
		"a field that is added and one that is removed": {
			`{"environment":{"OLD":"1"}}`, `{"environment":{"NEW":"2"}}`,
			[]schemas.Change{{Path: "environment.NEW", To: "2"}, {Path: "environment.OLD", From: "1"}},
			`adds environment.NEW as "2", removes environment.OLD`,
		},
		"places of a list": {
			`{"ports":[{"containerPort":80},{"containerPort":81}]}`, `{"ports":[{"containerPort":8080}]}`,
			[]schemas.Change{{Path: "ports[0].containerPort", From: 80.0, To: 8080.0}, {Path: "ports[1]", From: map[string]any{"containerPort": 81.0}}},
			`changes ports[0].containerPort from 80 to 8080, removes ports[1]`,
		},
		"another kind of value": {
			`{"command":"run"}`, `{"command":["run"]}`,
			[]schemas.Change{{Path: "command", From: "run", To: []any{"run"}}}, `changes command from "run" to ["run"]`,
		},
		"more than a sentence holds": {
			`{}`, `{"a":1,"b":2,"c":3,"d":4,"e":5}`,
			[]schemas.Change{{Path: "a", To: 1.0}, {Path: "b", To: 2.0}, {Path: "c", To: 3.0}, {Path: "d", To: 4.0}, {Path: "e", To: 5.0}},
			`adds a as 1, adds b as 2, adds c as 3, and 2 more`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes, err := Changes(json.RawMessage(test.before), json.RawMessage(test.after))
			require.NoError(t, err)
			require.Equal(t, test.want, changes)
			require.Equal(t, test.words, inWords(changes))
		})
	}
}

func TestAnUpdateSaysWhichFieldsItChanges(t *testing.T) {
	desired, observed := declared("backend", "new"), found("backend", "old")
	desired.Properties, observed.Properties = json.RawMessage(`{"internal":true}`), json.RawMessage(`{"internal":false}`)
	p := Diff([]Desired{desired}, []Observed{observed})
	require.Equal(t, []string{"update backend: changes internal from false to true"}, lines(p))
	require.Equal(t, []schemas.Change{{Path: "internal", From: false, To: true}}, p.Operations[0].Changes)

	observed.Properties = json.RawMessage("written by hand")
	p = Diff([]Desired{desired}, []Observed{observed})
	require.Equal(t, []string{"update backend: its declaration differs from that of revision 1"}, lines(p))
}
