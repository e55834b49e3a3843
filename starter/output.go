package starter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// cliSchema names the shape of the JSON lines.
const cliSchema = "windlass.cli/v1"

// outputFormat is the value of --output.
type outputFormat string

const (
	textOutput outputFormat = "text"
	jsonOutput outputFormat = "json"
)

// String is part of pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type is part of pflag.Value.
func (f *outputFormat) Type() string { return "format" }

// Set is part of pflag.Value.
func (f *outputFormat) Set(text string) error {
	switch v := outputFormat(text); v {
	case textOutput, jsonOutput:
		*f = v
		return nil
	}
	return fmt.Errorf("%q is no format; accepted are text and json", text)
}

// jsonLines writes the answer of one command, one JSON value a line.
type jsonLines struct {
	w     io.Writer
	ended bool
}

// newJSONLines writes the first line, which names the schema.
func newJSONLines(w io.Writer, command string) *jsonLines {
	j := &jsonLines{w: w}
	j.write(struct {
		Schema  string `json:"schema"`
		Command string `json:"command"`
	}{cliSchema, command})
	return j
}

// write adds one line. A stdout that is closed ends the process by SIGPIPE, so
// there is nobody left to tell about a failing write.
func (j *jsonLines) write(v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err == nil {
		_, _ = j.w.Write(b.Bytes())
	}
}

// raw adds a line that is JSON already.
func (j *jsonLines) raw(text []byte) {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err == nil {
		b.WriteByte('\n')
		_, _ = j.w.Write(b.Bytes())
	}
}

// result is the last line of a command that waits or fails.
type result struct {
	Result         string `json:"result"`
	ExitCode       int    `json:"exitCode"`
	CommandID      string `json:"commandId,omitempty"`
	Environment    string `json:"environment,omitempty"`
	Infrastructure string `json:"infrastructure,omitempty"`
	Container      string `json:"container,omitempty"`
	Revision       int    `json:"revision,omitempty"`
	// Seconds is how long the command waited.
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// result writes the last line.
func (j *jsonLines) result(r result) {
	j.ended = true
	j.write(r)
}
