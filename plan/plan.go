package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"windlass/schemas"
)

// Plan is the graph of operations that takes what is observed to what is
// declared, each operation after those that it depends on.
type Plan struct {
	Operations []schemas.Operation
}

// String counts the operations: "2 to create, 1 to update, 3 unchanged".
func (p Plan) String() string {
	count := map[schemas.Action]int{}
	for _, o := range p.Operations {
		count[o.Action]++
	}
	var parts []string
	for _, part := range []struct {
		action schemas.Action
		words  string
	}{
		{schemas.ActionCreate, "to create"}, {schemas.ActionUpdate, "to update"}, {schemas.ActionReplace, "to replace"},
		{schemas.ActionDelete, "to delete"}, {schemas.ActionRetain, "retained"}, {schemas.ActionNone, "unchanged"},
	} {
		if n := count[part.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.words))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

// Protected lists the operations that protection keeps from being what the
// declaration asks for.
func (p Plan) Protected() []schemas.Operation {
	var kept []schemas.Operation
	for _, o := range p.Operations {
		if o.Protected {
			kept = append(kept, o)
		}
	}
	return kept
}

// Fingerprint identifies what the plan does: two plans of one document that have
// the same do the same.
func (p Plan) Fingerprint() (string, error) {
	text, err := json.Marshal(p.Operations)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Hash identifies a declaration: type and resolved properties. Properties that
// differ only in order or white space have the same hash.
func Hash(kind schemas.ResourceType, properties json.RawMessage) (string, error) {
	var value any
	if len(properties) > 0 {
		if err := json.Unmarshal(properties, &value); err != nil {
			return "", fmt.Errorf("hash of %s: %w", kind, err)
		}
	}
	text, err := json.Marshal([]any{kind, value})
	if err != nil {
		return "", fmt.Errorf("hash of %s: %w", kind, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
