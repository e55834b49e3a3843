package events

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"

	"windlass/schemas"
)

// The CloudEvents extension attributes of status events.
const (
	extensionSequence    = "sequence"
	extensionCorrelation = "correlationid"
	extensionCausation   = "causationid"
	extensionTrace       = "traceparent"
)

// scopeOf returns the scope in a status event's data.
func scopeOf(s schemas.Event) (schemas.Scope, error) {
	scope, ok := s.Scope()
	if !ok {
		return scope, fmt.Errorf("status event %q of type %q has no data", s.ID, s.Type)
	}
	return scope, nil
}

func cloudEvent(s schemas.Event) (event.Event, error) {
	e := event.New()
	e.SetID(s.ID)
	e.SetSource(s.Source)
	e.SetType(s.Type)
	e.SetTime(s.Time)
	e.SetSubject(s.Subject)
	for name, value := range map[string]string{
		extensionSequence: s.Sequence, extensionCorrelation: s.CorrelationID,
		extensionCausation: s.CausationID, extensionTrace: s.TraceParent,
	} {
		if value != "" {
			e.SetExtension(name, value)
		}
	}
	var data any
	switch {
	case s.Command != nil:
		data = s.Command
	case s.Deployment != nil:
		data = s.Deployment
	case s.Rollout != nil:
		data = s.Rollout
	case s.Container != nil:
		data = s.Container
	default:
		data = s.Resource
	}
	return e, setData(&e, data)
}

// ReadStatus reads a status event from its structured form.
func ReadStatus(body []byte) (schemas.Event, error) {
	e := event.New()
	if err := json.Unmarshal(body, &e); err != nil {
		return schemas.Event{}, fmt.Errorf("read status event: %w", err)
	}
	text := func(name string) string {
		value, _ := e.Extensions()[name].(string)
		return value
	}
	s := schemas.Event{
		ID: e.ID(), Source: e.Source(), Type: e.Type(), Time: e.Time(), Subject: e.Subject(),
		Sequence: text(extensionSequence), CorrelationID: text(extensionCorrelation),
		CausationID: text(extensionCausation), TraceParent: text(extensionTrace),
	}
	var target any
	switch noun(e.Type()) {
	case "command":
		s.Command = &schemas.CommandStatus{}
		target = s.Command
	case "deployment":
		s.Deployment = &schemas.DeploymentStatus{}
		target = s.Deployment
	case "resource":
		s.Resource = &schemas.ResourceStatus{}
		target = s.Resource
	case "rollout":
		s.Rollout = &schemas.RolloutStatus{}
		target = s.Rollout
	case "container":
		s.Container = &schemas.ContainerStatus{}
		target = s.Container
	default:
		return s, errors.New("read status event: type " + e.Type() + " is not known")
	}
	if err := json.Unmarshal(e.Data(), target); err != nil {
		return s, fmt.Errorf("read status event %q: %w", e.ID(), err)
	}
	return s, nil
}
