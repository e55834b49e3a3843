package starter

import (
	"fmt"
	"strings"

	"windlass/schemas"
)

// failureLines tells a failure with its place and its evidence.
func failureLines(f schemas.Failure) []line {
	head := line{{"✘ ", red}}
	if f.Resource != "" {
		head = append(head, span{f.Resource + ": ", bold})
	}
	lines := []line{append(head, span{failureSentence(f), red})}
	if place := failurePlace(f); place != "" {
		lines = append(lines, line{{"  at " + place, plain}})
	}
	if f.Evidence != nil {
		lines = append(lines, evidenceLines(*f.Evidence)...)
	}
	if f.Hint != "" {
		lines = append(lines, line{{"  try: " + printable(f.Hint), yellow}})
	}
	return lines
}

func failureSentence(f schemas.Failure) string {
	if f.Kind == "" {
		return printable(f.Message)
	}
	return f.Kind + ": " + printable(f.Message)
}

// failurePlace names the field and the line of the document.
func failurePlace(f schemas.Failure) string {
	switch {
	case f.Field != "" && f.Line > 0:
		return fmt.Sprintf("%s, line %d", f.Field, f.Line)
	case f.Line > 0:
		return fmt.Sprintf("line %d", f.Line)
	}
	return f.Field
}

func evidenceLines(e schemas.Evidence) []line {
	facts := []string{}
	if e.State != "" {
		facts = append(facts, strings.ToLower(e.State))
	}
	if e.ExitCode != nil {
		facts = append(facts, fmt.Sprintf("exit code %d", *e.ExitCode))
	}
	if e.OOMKilled {
		facts = append(facts, "out of memory")
	}
	lines := []line{{{fmt.Sprintf("  container %s: %s", e.Container, strings.Join(facts, ", ")), plain}}}
	if e.Health != "" {
		lines = append(lines, line{{"  health check: " + printable(e.Health), plain}})
	}
	if len(e.Logs) > 0 {
		lines = append(lines, line{{"  last log lines:", plain}})
	}
	for _, log := range e.Logs {
		lines = append(lines, line{{"    " + printable(log), dim}})
	}
	return lines
}

// failureBlock tells all failures, each after an empty line.
func failureBlock(failures []schemas.Failure) []line {
	var lines []line
	for _, f := range failures {
		lines = append(lines, line{})
		lines = append(lines, failureLines(f)...)
	}
	return lines
}
