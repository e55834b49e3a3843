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
		if err := q.measure(ctx, environment, answer.Containers); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// measure asks the engines how the containers of an environment are.
func (q *queries) measure(ctx context.Context, environment string, views []schemas.ContainerView) error {
	replicas, err := q.replicas(ctx, activities.ContainerTarget(environment, "", "").Scope)
	if err != nil {
		return err
	}
	for i, view := range views {
		at := slices.IndexFunc(replicas, func(r schemas.ReplicaStatus) bool {
			return view.Record.Environment == environment && r.Name == view.Record.Name
		})
		if at >= 0 {
			views[i].Live = &replicas[at]
		}
	}
	return nil
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
