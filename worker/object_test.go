package worker

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/schemas"
)

// shelf is a provider with one object, which notes what it is asked for.
type shelf struct {
	activities.ObjectProvider
	object string
	err    error
	asked  []any
}

func (s *shelf) answer(request any, outcome schemas.ObjectOutcome) (schemas.ObjectAnswer, error) {
	s.asked = append(s.asked, request)
	return schemas.ObjectAnswer{Object: json.RawMessage(s.object), Outcome: outcome, ObjectCondition: schemas.ObjectCondition{Ready: true}}, s.err
}

func (s *shelf) GetObject(_ context.Context, r schemas.ObjectReference) (schemas.ObjectAnswer, error) {
	return s.answer(r, "")
}

func (s *shelf) CreateObject(_ context.Context, r schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	return s.answer(r, schemas.ObjectCreated)
}

func (s *shelf) UpdateObject(_ context.Context, r schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	return s.answer(r, schemas.ObjectUpdated)
}

func (s *shelf) ApplyObject(_ context.Context, r schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error) {
	return s.answer(r, schemas.ObjectUnchanged)
}

func (s *shelf) DeleteObject(_ context.Context, r schemas.ObjectDeleteRequest) (schemas.ObjectAnswer, error) {
	return s.answer(r, schemas.ObjectDeleting)
}

func (s *shelf) ListObjects(_ context.Context, r schemas.ObjectListRequest) (schemas.ObjectListAnswer, error) {
	s.asked = append(s.asked, r)
	return schemas.ObjectListAnswer{Continue: "more"}, s.err
}

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","managedFields":[{"manager":"windlass"}]},"spec":{"replicas":3}}`

func TestEveryVerbReachesTheProviderThatTheSubjectNames(t *testing.T) {
	s := &shelf{object: deployment}
	d := openDesk(t, activities.Providers{"docker": &engine{}, "prod-eu": s})
	reference := schemas.ObjectReference{Kind: "deploy", Namespace: "shop", Name: "web"}
	write := schemas.ObjectWriteRequest{Object: json.RawMessage(deployment), Namespace: "shop", Force: true, DryRun: true}
	for verb, c := range map[schemas.ObjectVerb]struct {
		request any
		outcome schemas.ObjectOutcome
	}{
		schemas.ObjectGet:    {reference, ""},
		schemas.ObjectCreate: {write, schemas.ObjectCreated},
		schemas.ObjectUpdate: {write, schemas.ObjectUpdated},
		schemas.ObjectApply:  {write, schemas.ObjectUnchanged},
		schemas.ObjectDelete: {schemas.ObjectDeleteRequest{ObjectReference: reference, Cascade: "orphan"}, schemas.ObjectDeleting},
	} {
		t.Run(string(verb), func(t *testing.T) {
			s.asked = nil
			answer, err := ask[schemas.ObjectAnswer](d, schemas.ObjectSubject("prod-eu", verb), c.request)
			require.NoError(t, err)
			require.Equal(t, []any{c.request}, s.asked)
			require.Equal(t, c.outcome, answer.Outcome)
			require.True(t, answer.Ready)
			require.JSONEq(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":3}}`, string(answer.Object))
		})
	}
	s.asked = nil
	list, err := ask[map[string]any](d, schemas.ObjectSubject("prod-eu", schemas.ObjectList), schemas.ObjectListRequest{Kind: "pods", Limit: 100_000})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"objects": []any{}, "continue": "more"}, list)
	require.Equal(t, []any{schemas.ObjectListRequest{Kind: "pods", Limit: schemas.MaxObjects}}, s.asked)
}

func TestTheValuesOfASecretStayInTheWorker(t *testing.T) {
	s := &shelf{object: `{"apiVersion":"v1","kind":"Secret","type":"Opaque","data":{"password":"aHVudGVyMg=="},
		"metadata":{"name":"db","annotations":{"team":"accounts","kubectl.kubernetes.io/last-applied-configuration":"{\"stringData\":{\"password\":\"hunter2\"}}"}}}`}
	d := openDesk(t, activities.Providers{"prod-eu": s})
	answer, err := ask[schemas.ObjectAnswer](d, schemas.ObjectSubject("prod-eu", schemas.ObjectGet), schemas.ObjectReference{Kind: "Secret", Name: "db"})
	require.NoError(t, err)
	require.JSONEq(t, `{"apiVersion":"v1","kind":"Secret","type":"Opaque","data":{"password":"[redacted]"},"metadata":{"name":"db","annotations":{"team":"accounts"}}}`, string(answer.Object))
}

func TestARefusalOfAClusterHasItsCode(t *testing.T) {
	for kind, code := range map[activities.FaultKind]string{
		activities.NotFound: "404", activities.Invalid: "422", activities.Conflict: "409", activities.Unauthorized: "401", activities.Forbidden: "403", activities.Throttled: "429", activities.Unavailable: "503",
	} {
		t.Run(string(kind), func(t *testing.T) {
			s := &shelf{err: &activities.Fault{Kind: kind, Message: "apply Deployment \"web\": it does not want to", Hint: "ask again"}}
			d := openDesk(t, activities.Providers{"prod-eu": s})
			for _, verb := range []schemas.ObjectVerb{schemas.ObjectGet, schemas.ObjectList, schemas.ObjectCreate, schemas.ObjectUpdate, schemas.ObjectApply, schemas.ObjectDelete} {
				_, err := ask[any](d, schemas.ObjectSubject("prod-eu", verb), "{}")
				require.EqualError(t, err, code+` apply Deployment "web": it does not want to; ask again`, verb)
			}
		})
	}
}

func TestWhatIsAskedOfNoClusterSaysWhichThereAre(t *testing.T) {
	s := &shelf{}
	d := openDesk(t, activities.Providers{"docker": &engine{}, "prod-eu": s, "prod-us": &shelf{}})
	alone := openDesk(t, activities.Providers{"docker": &engine{}})
	for name, c := range map[string]struct {
		d                 *desk
		subject, question string
		want              string
	}{
		"an engine":               {d, schemas.ObjectSubject("docker", schemas.ObjectGet), "{}", `400 provider "docker" is of kind docker, which has no objects of the Kubernetes API; of its providers, these have some: prod-eu, prod-us`},
		"nobody":                  {d, schemas.ObjectSubject("moon", schemas.ObjectGet), "{}", `404 the worker has no provider "moon"; of its providers, these have some: prod-eu, prod-us`},
		"nobody where none is":    {alone, schemas.ObjectSubject("moon", schemas.ObjectGet), "{}", `404 the worker has no provider "moon"; none of its providers has any; name a cluster in the workers' file of providers`},
		"another verb":            {d, schemas.ObjectSubject("prod-eu", "scale"), "{}", `400 "scale" is nothing that is done to objects; accepted are get, list, create, update, apply and delete`},
		"a question that is none": {d, schemas.ObjectSubject("prod-eu", schemas.ObjectApply), "{", "400 the question is not valid JSON: unexpected end of JSON input"},
		"a list that is none":     {d, schemas.ObjectSubject("prod-eu", schemas.ObjectList), "{", "400 the question is not valid JSON: unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask[any](c.d, c.subject, c.question)
			require.EqualError(t, err, c.want)
		})
	}
	require.Empty(t, s.asked)
}

func TestAnAnswerThatNATSDoesNotTakeIsRefusedInWords(t *testing.T) {
	s := &shelf{object: strings.Replace(deployment, `"replicas":3`, `"note":"`+strings.Repeat("x", 1<<20)+`"`, 1)}
	d := openDesk(t, activities.Providers{"prod-eu": s})
	_, err := ask[any](d, schemas.ObjectSubject("prod-eu", schemas.ObjectGet), "{}")
	require.ErrorContains(t, err, "413 the answer has 1048")
	require.ErrorContains(t, err, "bytes, and NATS takes 1048576; ask for less of it")
}
