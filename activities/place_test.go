package activities

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

// spread is a bench with a second provider, "edge", and what it answers.
type spread struct {
	*bench
	edge *fake
	// away is why edge does not answer; nil is that it does.
	away error
}

func newSpread(t *testing.T) *spread {
	s := &spread{bench: newBench(t, ""), edge: newFake()}
	s.edge.observe = func(context.Context) error { return s.away }
	s.Planner.Providers["edge"] = s.edge
	return s
}

var unreachable = &Fault{Kind: Unavailable, Message: "list the containers: connection refused", Hint: "see whether the engine runs"}

// plan plans a document; "" destroys.
func (s *spread) plan(text string) (PlanOutput, error) {
	s.t.Helper()
	in := PlanInput{Scope: users, Revision: Revision{Number: 3}}
	if text != "" {
		in.Revision = s.revision(text)
	}
	var out PlanOutput
	value, err := s.run(NamePlan, in)
	if err == nil {
		require.NoError(s.t, value.Get(&out))
	}
	return out, err
}

func (s *spread) places() []string {
	s.t.Helper()
	names, err := s.Planner.Places.Of(background(s.t), users)
	require.NoError(s.t, err)
	if len(names) == 0 {
		return nil
	}
	return names
}

const network = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources: [{name: backend, type: Network}]
`

// atEdge is that document with its network at the second provider.
var atEdge = strings.Replace(network, "type: Network", "type: Network, provider: edge", 1)

var backendAtEdge = plan.Observed{Target: plan.Target{Scope: users, Resource: "backend", Type: schemas.TypeNetwork, Provider: "edge"}, State: plan.StateReady}

func TestAProviderAtWhichNothingIsHoldsUpNobody(t *testing.T) {
	s := newSpread(t)
	s.away = unreachable
	out, err := s.plan(network)
	require.NoError(t, err)
	require.Equal(t, "1 to create", out.Summary)
	require.Equal(t, []string{"docker"}, s.places())
	require.Contains(t, s.log.String(), `a provider does not answer at which nothing of the Infrastructure should be" provider=edge`)
	out, err = s.plan("")
	require.NoError(t, err, "nothing was ever made there")
	require.Equal(t, "nothing to do", out.Summary)
}

func TestAProviderThatHangsAtWhichNothingIsIsSoonGivenUp(t *testing.T) {
	s := newSpread(t)
	s.edge.observe = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	began := time.Now()
	made, err := s.Planner.Preview(background(t), users, parsed(t, network))
	require.NoError(t, err)
	require.Equal(t, "1 to create", made.String())
	require.Less(t, time.Since(began), patience/2)
}

func TestAProviderThatIsDeclaredMustAnswer(t *testing.T) {
	s := newSpread(t)
	s.away = unreachable
	_, err := s.plan(atEdge)
	require.Equal(t, schemas.Failure{
		Kind: "Unavailable", Message: "provider edge: list the containers: connection refused", Hint: "see whether the engine runs",
	}, FailureOf(err))
	_, err = s.Planner.Preview(background(t), users, parsed(t, atEdge))
	require.True(t, IsKind(err, Unavailable))
	require.Empty(t, s.places(), "nothing was made anywhere")
}

func TestWhatMovedAwayIsNotForgottenWhileItsProviderIsAway(t *testing.T) {
	s := newSpread(t)
	_, err := s.plan(atEdge)
	require.NoError(t, err)
	require.Equal(t, []string{"edge"}, s.places(), "before anything is made there")

	// It moves, also to nowhere, while nobody knows what is there.
	s.edge.observed, s.away = []plan.Observed{backendAtEdge}, unreachable
	for _, text := range []string{network, ""} {
		_, err = s.plan(text)
		require.Equal(t, schemas.Failure{
			Kind: "Unavailable", Message: "provider edge: list the containers: connection refused",
			Hint: "see whether the engine runs; something of staging/users may be there; if the provider is gone for good, take it out of the workers' file of providers",
		}, FailureOf(err))
	}
	s.away = nil
	out, err := s.plan(network)
	require.NoError(t, err)
	require.Equal(t, "1 to create, 1 to delete", out.Summary)
	require.Equal(t, []string{"docker", "edge"}, s.places(), "it is not deleted yet")
	s.away = unreachable
	_, err = s.plan(network)
	require.Error(t, err, "the deletion may have failed")

	// The provider itself says that nothing is left.
	s.edge.observed, s.away = nil, nil
	_, err = s.plan(network)
	require.NoError(t, err)
	require.Equal(t, []string{"docker"}, s.places())
	s.away = unreachable
	_, err = s.plan(network)
	require.NoError(t, err)
}

// succeeded tells the success of a revision as its workflow does.
func (s *spread) succeeded(number int, reference string, change func(*schemas.DeploymentStatus)) {
	s.t.Helper()
	source := schemas.DeploymentSource(users, number)
	told := func(eventType string, counter int, d schemas.DeploymentStatus) {
		d.Scope, d.Revision = users, number
		_, err := s.run(NamePublish, PublishInput{Events: []schemas.Event{{
			ID: source + eventType, Source: source, Type: eventType, Sequence: schemas.DeploymentSequence(number, counter), Deployment: &d,
		}}})
		require.NoError(s.t, err)
	}
	told(schemas.StatusDeploymentStarted, 1, schemas.DeploymentStatus{Document: reference})
	d := schemas.DeploymentStatus{Final: true}
	change(&d)
	told(schemas.StatusDeploymentSucceeded, 2, d)
}

func TestADeploymentThatSucceededLeavesPlacesBehind(t *testing.T) {
	all := []string{"docker", "edge"}
	for name, test := range map[string]struct {
		text   string
		change func(*schemas.DeploymentStatus)
		want   []string
	}{
		"what it declares stays":                {network, func(*schemas.DeploymentStatus) {}, []string{"docker"}},
		"nothing where it destroyed":            {"", func(d *schemas.DeploymentStatus) { d.Destroy = true }, nil},
		"all where it left something out":       {network, func(d *schemas.DeploymentStatus) { d.Partial = true }, all},
		"all where something was left":          {network, func(d *schemas.DeploymentStatus) { d.Skipped = []string{"backend"} }, all},
		"all where nobody knows what it was of": {"", func(*schemas.DeploymentStatus) {}, all},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpread(t)
			for _, provider := range all {
				require.NoError(t, s.Planner.Places.Add(t.Context(), users, provider))
			}
			reference := ""
			if test.text != "" {
				reference = s.revision(test.text).Reference
			}
			s.succeeded(4, reference, test.change)
			require.Equal(t, test.want, s.places())
		})
	}
	t.Run("all where it is not the newest any more", func(t *testing.T) {
		s := newSpread(t)
		s.succeeded(5, "", func(d *schemas.DeploymentStatus) { d.Destroy = true })
		require.NoError(t, s.Planner.Places.Add(t.Context(), users, "edge"))
		s.succeeded(4, "", func(d *schemas.DeploymentStatus) { d.Destroy = true })
		require.Equal(t, []string{"edge"}, s.places())
	})
}

func TestAPreviewWritesNoPlacesDown(t *testing.T) {
	s := newSpread(t)
	s.edge.observed = []plan.Observed{backendAtEdge}
	_, err := s.Planner.Preview(background(t), users, parsed(t, network))
	require.NoError(t, err)
	require.Empty(t, s.places())
}

func TestRecordsKnowWhatWasDeployedBeforePlacesWere(t *testing.T) {
	s := newSpread(t)
	source := schemas.ResourceSource(users, "backend")
	require.NoError(t, s.Publisher.Publish(t.Context(), []schemas.Event{{
		ID: source, Source: source, Type: schemas.StatusResourceReady, Sequence: schemas.DeploymentSequence(1, 1),
		Resource: &schemas.ResourceStatus{Scope: users, Revision: 1, Resource: "backend", Type: schemas.TypeNetwork, Provider: "edge"},
	}}))
	s.away = unreachable
	_, err := s.plan(network)
	require.Equal(t, "Unavailable", FailureOf(err).Kind)
}

func TestWhereNothingIsKnownEverybodyMustAnswer(t *testing.T) {
	s := newSpread(t)
	s.away = unreachable
	_, err := s.plan("")
	require.Equal(t, "provider edge: list the containers: connection refused", FailureOf(err).Message)
	_, err = s.run(NameResync, ResyncInput{Scope: users})
	require.Equal(t, "Unavailable", FailureOf(err).Kind)
}

func TestAProviderThatTheWorkerHasNoMoreIsNotWaitedFor(t *testing.T) {
	s := newSpread(t)
	_, err := s.plan(atEdge)
	require.NoError(t, err)
	delete(s.Planner.Providers, "edge")
	s.Planner.Providers["third"] = newFake()
	out, err := s.plan(network)
	require.NoError(t, err)
	require.Equal(t, "1 to create", out.Summary)
	require.Equal(t, []string{"docker", "edge"}, s.places(), "it may come back")
	require.Contains(t, s.log.String(), `the worker has no provider of that name any more; what may be there is left alone" provider=edge`)
	_, err = s.plan(atEdge)
	require.Equal(t, schemas.Failure{
		Kind: "Invalid", Resource: "backend", Field: "spec.resources[0].provider", Line: 6,
		Message: `the worker has no provider "edge"; it has docker, third`,
		Hint:    "use one that `windlass providers` lists, or add it to the workers' file of providers",
	}, FailureOf(err))
}

func TestAResyncFindsThePlacesAnew(t *testing.T) {
	s := newSpread(t)
	s.edge.observed = []plan.Observed{backendAtEdge}
	require.NoError(t, s.Planner.Places.Add(t.Context(), users, "docker"))
	_, err := s.run(NameResync, ResyncInput{Scope: users})
	require.NoError(t, err)
	require.Equal(t, []string{"edge"}, s.places())
}

func TestOneInfrastructureSpansProviders(t *testing.T) {
	s := newSpread(t)
	both := strings.Replace(network, "[{name: backend, type: Network}]", "[{name: backend, type: Network}, {name: far, type: Network, provider: edge}]", 1)
	stored := s.revision(both)
	for _, name := range []string{"backend", "far"} {
		_, err := s.run(NameApply, ApplyInput{Scope: users, Revision: stored, Resource: name})
		require.NoError(t, err)
	}
	require.Equal(t, "backend", s.provider.applied[0].Resource)
	require.Equal(t, "far", s.edge.applied[0].Resource)
	require.Equal(t, "edge", s.edge.applied[0].Provider)
	require.Len(t, s.provider.applied, 1)
}
