package starter

import (
	"encoding/json"
	"os"

	"windlass/schemas"
)

// planSchema names the shape of a plan in a file.
const planSchema = "windlass.plan/v1"

// planFile is a plan that was seen and can be deployed as it was seen. It holds
// the document, so that nothing else has to stay the same.
type planFile struct {
	Schema     string         `json:"schema"`
	Document   string         `json:"document"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Targets    []string       `json:"targets,omitempty"`
	schemas.PlanAnswer
}

func writePlan(path string, request schemas.PlanRequest, answer schemas.PlanAnswer) error {
	text, err := json.MarshalIndent(planFile{Schema: planSchema, Document: request.Document, Parameters: request.Parameters, Targets: request.Targets, PlanAnswer: answer}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return exitf(ExitUsage, "--out: %w", err)
	}
	return nil
}

// readPlan reads the file again, as a document, and puts the plan to run and its
// targets into the request.
func (a *app) readPlan(path string, request *schemas.DeploymentRequested) (*document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, exitf(ExitUsage, "--plan: %w", err)
	}
	var file planFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, exitf(ExitUsage, "--plan: %s is no plan: %w", path, err)
	}
	if file.Schema != planSchema {
		return nil, exitf(ExitUsage, "--plan: %s is no plan of this version: its schema is %q, not %q", path, file.Schema, planSchema)
	}
	d := &document{source: &source{name: path, text: []byte(file.Document)}, parameters: file.Parameters}
	if d.parsed, err = schemas.Parse(d.text, d.parameters); err != nil {
		return nil, exitf(ExitRejected, "the document in %s: %w", path, err)
	}
	request.Plan, request.Targets = &schemas.PlanReference{Revision: file.Revision, Fingerprint: file.Fingerprint}, file.Targets
	return d, nil
}
