package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"windlass/activities"
	"windlass/schemas"
)

// containers are what records know of single containers, and what engines say of them.
func (q *queries) containers(ctx context.Context, data []byte) (any, error) {
	var request schemas.ContainersRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	records, err := q.records.Containers(ctx, request.Environment)
	if err != nil {
		return nil, err
	}
	answer := schemas.ContainersAnswer{Containers: []schemas.ContainerView{}}
	environments := map[string]bool{}
	for _, record := range records {
		if (request.Container == "" || record.Container == request.Container) && (request.Removed || !record.Removed()) {
			answer.Containers = append(answer.Containers, schemas.ContainerView{Record: record})
			environments[record.Environment] = true
		}
	}
	if request.Container != "" && len(answer.Containers) == 0 {
		return nil, &failure{404, fmt.Sprintf("no container %s is known", schemas.ContainerScope(request.Environment, request.Container))}
	}
	if !request.Live {
		return answer, nil
	}
	for _, environment := range slices.Sorted(maps.Keys(environments)) {
		answer.Unreachable = append(answer.Unreachable, q.measure(ctx, environment, answer.Containers)...)
	}
	// One that does not answer is told once, whatever it was asked for.
	slices.SortFunc(answer.Unreachable, byName)
	answer.Unreachable = slices.CompactFunc(answer.Unreachable, func(a, b schemas.ProviderStatus) bool { return a.Name == b.Name })
	return answer, nil
}

// measure asks the engines how the containers of an environment are, and returns those
// that do not answer.
func (q *queries) measure(ctx context.Context, environment string, views []schemas.ContainerView) []schemas.ProviderStatus {
	var held []string
	for _, view := range views {
		if view.Record.Environment == environment {
			held = append(held, view.Record.Provider)
		}
	}
	replicas, _, unreachable := q.replicas(ctx, activities.ContainerTarget(environment, "", "").Scope, held)
	for i, view := range views {
		at := slices.IndexFunc(replicas, func(r schemas.ReplicaStatus) bool {
			return view.Record.Environment == environment && r.Name == view.Record.Name
		})
		if at >= 0 {
			views[i].Live = &replicas[at]
		}
	}
	return unreachable
}

// logs are what a container has written.
func (q *queries) logs(ctx context.Context, data []byte) (any, error) {
	var request schemas.LogsRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	record, err := q.records.Container(ctx, request.Environment, request.Container)
	if err != nil {
		return nil, err
	}
	if record == nil || record.Removed() {
		return nil, &failure{404, fmt.Sprintf("no container %s is known", schemas.ContainerScope(request.Environment, request.Container))}
	}
	answer, err := q.effects.ContainerLogs(ctx, activities.Revision{Number: 1, Reference: record.Document}, request)
	var fault *activities.Fault
	if errors.As(err, &fault) && fault.Kind.Permanent() {
		return nil, &failure{404, fault.Error()}
	}
	return answer, err
}
