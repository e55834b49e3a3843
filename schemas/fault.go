package schemas

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a document or a command.
type Fault struct {
	// Field is the path of the field, such as "spec.resources[2].dependsOn[0]".
	Field string `json:"field"`
	// Line and Column start at 1; 0 means that the place is not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Reason says what was found and what is accepted.
	Reason string `json:"reason"`
}

// String is one line: "line 4, column 7: spec.environment: reason".
func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d", f.Line)
		if f.Column > 0 {
			fmt.Fprintf(&b, ", column %d", f.Column)
		}
		b.WriteString(": ")
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Reason)
	return b.String()
}

// Faults is an error that holds everything that is wrong, in document order.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}
