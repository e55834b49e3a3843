package schemas

import (
	"encoding/json"
	"fmt"
)

// Change is one field in which what is declared differs from what was declared
// when the resource was made. Placeholders of secrets stay placeholders.
type Change struct {
	// Path is the field below the resource's properties: "ports[0].hostPort".
	Path string `json:"path"`
	// From is null for a field that is added, To for one that is removed.
	From any `json:"from"`
	To   any `json:"to"`
}

// String tells the change in words: `changes image from "users:1" to "users:2"`.
func (c Change) String() string {
	switch {
	case c.From == nil:
		return fmt.Sprintf("adds %s as %s", c.Path, brief(c.To))
	case c.To == nil:
		return fmt.Sprintf("removes %s", c.Path)
	}
	return fmt.Sprintf("changes %s from %s to %s", c.Path, brief(c.From), brief(c.To))
}

// longestValue bounds a value in words, in characters.
const longestValue = 60

func brief(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if runes := []rune(string(text)); len(runes) > longestValue {
		return string(runes[:longestValue]) + "…"
	}
	return string(text)
}
