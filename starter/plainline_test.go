package starter

import (
	"strings"
	"testing"

	"windlass/schemas"
)

func TestEveryEventIsOnePlainLine(t *testing.T) {
	two := 2
	s := newStory("c", 3).accepted().planned().creating("backend").ready("backend").failing().
		deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), RollbackTo: &two}).
		deployment(schemas.StatusDeploymentPlanned, schemas.DeploymentStatus{}).
		deployment(schemas.StatusDeploymentRolledBack, schemas.DeploymentStatus{Final: true, RollbackTo: &two}).
		rejected(schemas.Fault{Field: "spec.environment", Line: 5, Column: 3, Reason: "is missing"}, schemas.Fault{Reason: "is no JSON"})
	s.destroy = true
	s.deployment(schemas.StatusDeploymentStarted, schemas.DeploymentStatus{}).succeeded()
	var b strings.Builder
	for _, e := range s.events {
		b.WriteString(plainLine(e) + "\n")
	}
	requireGolden(t, "plain", b.String())
}
