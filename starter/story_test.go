package starter

import (
	"fmt"
	"time"

	"windlass/schemas"
)

// noon is when every story begins.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// users is the Infrastructure of every story.
var users = schemas.Scope{Environment: "staging", Infrastructure: "users"}

// story writes the status events of one deployment, one second apart.
type story struct {
	events   []schemas.Event
	command  string
	revision int
	destroy  bool
}

func newStory(command string, revision int) *story {
	return &story{command: command, revision: revision}
}

func (s *story) add(e schemas.Event) *story {
	n := len(s.events) + 1
	e.ID = fmt.Sprintf("%s-%d", s.command, n)
	e.Source = "/windlass/" + users.String()
	e.Time = noon.Add(time.Duration(n) * time.Second)
	e.Sequence = fmt.Sprintf("%010d%010d", s.revision, n)
	e.CausationID = s.command
	e.CorrelationID = fmt.Sprintf("infrastructure/%s/rev-%d", users, s.revision)
	s.events = append(s.events, e)
	return s
}

func (s *story) accepted() *story {
	return s.add(schemas.Event{Type: schemas.StatusCommandAccepted, Command: &schemas.CommandStatus{Scope: users, Revision: s.revision}})
}

func (s *story) rejected(faults ...schemas.Fault) *story {
	return s.add(schemas.Event{Type: schemas.StatusCommandRejected, Command: &schemas.CommandStatus{Scope: users, Faults: faults}})
}

func (s *story) deployment(eventType string, d schemas.DeploymentStatus) *story {
	d.Scope, d.Revision, d.Destroy = users, s.revision, s.destroy
	return s.add(schemas.Event{Type: eventType, Deployment: &d})
}

func (s *story) resource(eventType, name string, r schemas.ResourceStatus) *story {
	r.Scope, r.Revision, r.Resource, r.Type = users, s.revision, name, kinds[name]
	return s.add(schemas.Event{Type: eventType, Resource: &r})
}

func (s *story) creating(name string) *story {
	return s.resource(schemas.StatusResourceCreating, name, schemas.ResourceStatus{Cause: "is declared and not there"})
}

func (s *story) ready(name string) *story {
	return s.resource(schemas.StatusResourceReady, name, schemas.ResourceStatus{Outputs: schemas.Outputs{"name": "staging-users-" + name}})
}

func (s *story) planned() *story {
	return s.deployment(schemas.StatusDeploymentPlanned, schemas.DeploymentStatus{Operations: creates(), Unchanged: 1}).
		deployment(schemas.StatusDeploymentStarted, schemas.DeploymentStatus{})
}

func (s *story) succeeded() *story {
	return s.deployment(schemas.StatusDeploymentSucceeded, schemas.DeploymentStatus{Final: true})
}

// failing is the failure of users, with its evidence.
func (s *story) failing() *story {
	failure := unhealthy()
	return s.resource(schemas.StatusResourceFailed, "users", schemas.ResourceStatus{Error: &failure})
}

func unhealthy() schemas.Failure {
	code := 3
	return schemas.Failure{
		Kind: "Unhealthy", Resource: "users", Field: "spec.resources[2].properties.health", Line: 21,
		Message: "replica 1 ended before it was healthy", Hint: "look at its last log lines",
		Evidence: &schemas.Evidence{
			Container: "staging-users-users-1", State: "Exited", ExitCode: &code,
			Health: "GET http://10.0.0.3:8080/healthz: connection refused",
			Logs:   []string{"\x1b[32mlevel=info\x1b[0m msg=starting", "level=error msg=\"DATABASE_URL is\tempty\""},
		},
	}
}

// kinds are the types of the resources in the stories.
var kinds = map[string]schemas.ResourceType{
	"backend": schemas.TypeNetwork, "users-db": schemas.TypeDatabase, "users": schemas.TypeCompute, "data": schemas.TypeStorage,
}

// creates is a plan that creates users, which needs users-db, which needs backend.
func creates() []schemas.Operation {
	operation := func(name string, needs ...string) schemas.Operation {
		return schemas.Operation{
			ID: "create/" + name, Action: schemas.ActionCreate, Resource: name, Type: kinds[name],
			Provider: "docker", DependsOn: needs, Cause: "is declared and not there",
		}
	}
	return []schemas.Operation{
		operation("users", "create/users-db", "create/backend"),
		operation("backend"),
		operation("users-db", "create/backend"),
	}
}
