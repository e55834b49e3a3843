package events

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/schemas"
)

// maxFaults bounds the faults in one rejected event. With their texts clipped it
// stays far below the 1 MiB that a NATS server takes by default.
const maxFaults = 100

// Rejection is the status event that tells why a command is refused. Its id
// follows from key, so that telling twice is telling once.
func Rejection(command schemas.CommandReference, key string, at time.Time, faults schemas.Faults) schemas.Event {
	clipped := make(schemas.Faults, 0, min(len(faults), maxFaults)+1)
	for _, fault := range faults[:min(len(faults), maxFaults)] {
		fault.Field, fault.Reason = clip(fault.Field), clip(fault.Reason)
		clipped = append(clipped, fault)
	}
	if len(faults) > maxFaults {
		clipped = append(clipped, schemas.Fault{Reason: fmt.Sprintf("and %d more", len(faults)-maxFaults)})
	}
	return schemas.Event{
		ID:          uuid.NewSHA1(uuid.NameSpaceURL, []byte("windlass:rejected:"+key)).String(),
		Source:      schemas.CommandSource(command.Scope),
		Type:        schemas.StatusCommandRejected,
		Time:        at,
		Subject:     command.String(),
		Sequence:    schemas.CommandSequence(command.Sequence),
		CausationID: command.ID,
		TraceParent: command.TraceParent,
		Command:     &schemas.CommandStatus{Scope: command.Scope, CommandType: command.Type, Faults: clipped},
	}
}

func checkType(eventType, subjectType string) schemas.Faults {
	if !slices.Contains(schemas.CommandTypes, eventType) {
		return schemas.Faults{{Field: "type", Reason: fmt.Sprintf("%q is no command; accepted are %s", clip(eventType), strings.Join(schemas.CommandTypes, ", "))}}
	}
	if short := schemas.ShortType(eventType); short != subjectType {
		return schemas.Faults{{Field: "type", Reason: fmt.Sprintf("%q was published on a subject that ends in %q; %q is expected", eventType, subjectType, short)}}
	}
	return nil
}

func checkScope(command *schemas.Command, subject schemas.Scope) schemas.Faults {
	environment, name := "spec.environment", "metadata.name"
	switch {
	case command.Infrastructure != nil:
	case schemas.IsContainerCommand(command.Type):
		environment, name = "data.environment", "data.container"
	default:
		environment, name = "data.environment", "data.infrastructure"
	}
	var faults schemas.Faults
	differs := func(field, data, published string) {
		if data != published {
			place := command.Place(field)
			faults = append(faults, schemas.Fault{Field: field, Line: place.Line, Column: place.Column,
				Reason: fmt.Sprintf("is %q but the event was published for %q; publish it on the subject of what it names", data, published)})
		}
	}
	differs(environment, command.Environment, subject.Environment)
	differs(name, command.Scope.Infrastructure, subject.Infrastructure)
	return faults
}

func messageOf(message jetstream.Msg) *nats.Msg {
	return &nats.Msg{Subject: message.Subject(), Header: message.Headers(), Data: message.Data()}
}
