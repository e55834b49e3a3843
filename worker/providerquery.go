package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	// healthPatience is how long a provider has to say that it is there.
	healthPatience = 3 * time.Second
	// livePatience is how long a provider has to say what it holds: the rest of
	// queryTimeout is for the others' answers to get home.
	livePatience = 8 * time.Second
)

// askProviders puts a question to those of the providers that wanted accepts, and
// returns the answers and who gave none.
func askProviders[T any](ctx context.Context, q *queries, wanted func(name string) bool, patience time.Duration, question func(context.Context, activities.Provider) (T, error)) (given []activities.Answer[T], unreachable []schemas.ProviderStatus) {
	asked := activities.Providers{}
	for name, provider := range q.planner.Providers {
		if wanted(name) {
			asked[name] = provider
		}
	}
	for _, a := range activities.AskProviders(ctx, asked, func(string) time.Duration { return patience }, question) {
		if a.Err == nil {
			given = append(given, a)
			continue
		}
		unreachable = append(unreachable, schemas.ProviderStatus{Name: a.Provider, Kind: q.kinds[a.Provider], Error: failureOf(a.Err)})
	}
	return given, unreachable
}

func everybody(string) bool { return true }

// failureOf is an error of a provider as it is told.
func failureOf(err error) *schemas.Failure {
	var fault *activities.Fault
	if !errors.As(err, &fault) {
		return &schemas.Failure{Kind: string(activities.Unavailable), Message: err.Error()}
	}
	return &schemas.Failure{Kind: string(fault.Kind), Resource: fault.Resource, Field: fault.Field, Message: fault.Message, Hint: fault.Hint}
}

func version(ctx context.Context, provider activities.Provider) (string, error) {
	return provider.Version(ctx)
}

// providers answers how each of them is.
func (q *queries) providers(ctx context.Context, data []byte) (any, error) {
	var request schemas.ProvidersRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	if request.Names {
		answer := schemas.ProvidersAnswer{Providers: []schemas.ProviderStatus{}}
		for _, name := range slices.Sorted(maps.Keys(q.planner.Providers)) {
			answer.Providers = append(answer.Providers, schemas.ProviderStatus{Name: name, Kind: q.kinds[name]})
		}
		return answer, nil
	}
	given, unreachable := askProviders(ctx, q, everybody, healthPatience, version)
	answer := schemas.ProvidersAnswer{Providers: append([]schemas.ProviderStatus{}, unreachable...)}
	for _, a := range given {
		answer.Providers = append(answer.Providers, schemas.ProviderStatus{Name: a.Provider, Kind: q.kinds[a.Provider], Version: a.Value})
	}
	slices.SortFunc(answer.Providers, byName)
	return answer, nil
}

func byName(a, b schemas.ProviderStatus) int { return strings.Compare(a.Name, b.Name) }

func (q *queries) version(ctx context.Context, _ []byte) (any, error) {
	answer := schemas.VersionAnswer{Version: schemas.Version(), Providers: map[string]string{}}
	given, unreachable := askProviders(ctx, q, everybody, healthPatience, version)
	for _, a := range given {
		answer.Providers[a.Provider] = a.Value
	}
	for _, p := range unreachable {
		fault := activities.Fault{Message: p.Error.Message, Hint: p.Error.Hint}
		answer.Providers[p.Name] = "unavailable: " + fault.Error()
	}
	return answer, nil
}

// scopes asks every provider what it holds something of.
func (q *queries) scopes(ctx context.Context, _ []byte) (any, error) {
	given, unreachable := askProviders(ctx, q, everybody, livePatience, func(ctx context.Context, provider activities.Provider) ([]schemas.Scope, error) {
		return provider.Scopes(ctx)
	})
	answer := schemas.ScopesAnswer{Scopes: []schemas.Scope{}, Unreachable: unreachable}
	for _, a := range given {
		answer.Scopes = append(answer.Scopes, a.Value...)
	}
	slices.SortFunc(answer.Scopes, func(a, b schemas.Scope) int { return strings.Compare(a.String(), b.String()) })
	answer.Scopes = slices.Compact(answer.Scopes)
	return answer, nil
}

// replicas asks the providers that hold something of the scope for what runs, and
// measures it. It returns those that do not answer too.
func (q *queries) replicas(ctx context.Context, scope schemas.Scope, held []string) ([]schemas.ReplicaStatus, []schemas.ResourceObject, []schemas.ProviderStatus) {
	type seen struct {
		replicas []schemas.ReplicaStatus
		objects  []schemas.ResourceObject
	}
	given, unreachable := askProviders(ctx, q, func(name string) bool { return slices.Contains(held, name) }, livePatience,
		func(ctx context.Context, provider activities.Provider) (seen, error) {
			observed, err := provider.Observe(ctx, scope)
			if err != nil {
				return seen{}, err
			}
			var s seen
			for _, o := range observed {
				s.objects = append(s.objects, o.Objects...)
			}
			s.replicas, err = measured(ctx, provider, observed)
			return s, err
		})
	all, objects := []schemas.ReplicaStatus{}, []schemas.ResourceObject(nil)
	for _, a := range given {
		all, objects = append(all, a.Value.replicas...), append(objects, a.Value.objects...)
	}
	slices.SortFunc(all, func(a, b schemas.ReplicaStatus) int {
		if a.Resource != b.Resource {
			return strings.Compare(a.Resource, b.Resource)
		}
		return strings.Compare(a.Name, b.Name)
	})
	slices.SortStableFunc(objects, func(a, b schemas.ResourceObject) int { return strings.Compare(a.Resource, b.Resource) })
	return all, objects, unreachable
}

func measured(ctx context.Context, provider activities.Provider, observed []plan.Observed) ([]schemas.ReplicaStatus, error) {
	var all []schemas.ReplicaStatus
	for _, o := range observed {
		if len(o.Replicas) == 0 {
			continue
		}
		metrics, err := provider.Metrics(ctx, o.Target)
		if err != nil {
			return nil, err
		}
		all = append(all, statuses(o, metrics)...)
	}
	return all, nil
}
