// Package events carries CloudEvents over NATS JetStream: the codec, the streams,
// the publisher of status events and the records made from them, the store of
// revisions, the trigger that turns commands into calls of a Starter, and dead
// letters. It knows nothing of Temporal.
package events

import (
	"fmt"
	"regexp"
	"strings"

	"windlass/schemas"
)

// The roots of all subjects.
const (
	commandRoot    = "windlass.command."
	statusRoot     = "windlass.status."
	deadLetterRoot = "windlass.deadletter."
)

// unknown takes the place of a name that no subject can carry.
const unknown = "unknown"

// CommandSubject is where a command of that type for that scope is published:
// windlass.command.<environment>.<infrastructure>.<noun>.<verb>.
func CommandSubject(scope schemas.Scope, eventType string) string {
	return commandRoot + scopeTokens(scope) + "." + schemas.ShortType(eventType)
}

// StatusSubject is where a status event of that type is published.
func StatusSubject(scope schemas.Scope, eventType string) string {
	return statusRoot + scopeTokens(scope) + "." + schemas.ShortType(eventType)
}

// DeadLetterSubject is where the commands of that scope go that cannot be served.
func DeadLetterSubject(scope schemas.Scope) string {
	return deadLetterRoot + scopeTokens(scope)
}

func scopeTokens(scope schemas.Scope) string {
	return scope.Environment + "." + scope.Infrastructure
}

// parseCommandSubject returns the scope and the short type that a subject names.
func parseCommandSubject(subject string) (schemas.Scope, string, error) {
	rest, ok := strings.CutPrefix(subject, commandRoot)
	tokens := strings.SplitN(rest, ".", 3)
	if !ok || len(tokens) < 3 {
		return schemas.Scope{Environment: unknown, Infrastructure: unknown}, "",
			fmt.Errorf("subject %q is not of the form %s<environment>.<infrastructure>.<noun>.<verb>", subject, commandRoot)
	}
	return schemas.Scope{Environment: tokens[0], Infrastructure: tokens[1]}, tokens[2], nil
}

var name = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// addressable is a scope to which an answer can be published whatever the tokens of
// a command's subject hold: a wildcard, a percent sign, or nothing at all.
func addressable(scope schemas.Scope) schemas.Scope {
	if !name.MatchString(scope.Environment) {
		scope.Environment = unknown
	}
	if !name.MatchString(scope.Infrastructure) {
		scope.Infrastructure = unknown
	}
	return scope
}

// noun is the first word of a type, such as "resource" of
// "io.windlass.resource.ready.v1".
func noun(eventType string) string {
	word, _, _ := strings.Cut(schemas.ShortType(eventType), ".")
	return word
}
