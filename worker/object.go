package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"windlass/activities"
	"windlass/schemas"
)

// object reads or changes objects of the Kubernetes API at the provider that the subject
// names.
func (q *queries) object(ctx context.Context, subject string, data []byte) (any, error) {
	name, verb := schemas.ParseObjectSubject(subject)
	provider, err := q.objectProvider(name)
	if err != nil {
		return nil, err
	}
	switch verb {
	case schemas.ObjectGet:
		return answerObject(ctx, data, provider.GetObject)
	case schemas.ObjectList:
		return q.objects(ctx, provider, data)
	case schemas.ObjectCreate:
		return q.changeObject(ctx, subject, data, provider.CreateObject)
	case schemas.ObjectUpdate:
		return q.changeObject(ctx, subject, data, provider.UpdateObject)
	case schemas.ObjectApply:
		return q.changeObject(ctx, subject, data, provider.ApplyObject)
	case schemas.ObjectDelete:
		answer, err := answerObject(ctx, data, provider.DeleteObject)
		if err == nil {
			q.logger.Info("an object was deleted by hand", "subject", subject, "object", named(answer.Object))
		}
		return answer, err
	}
	return nil, &failure{http.StatusBadRequest, fmt.Sprintf("%q is nothing that is done to objects; accepted are get, list, create, update, apply and delete", verb)}
}

// objectProvider is the provider of that name, as far as it has objects.
func (q *queries) objectProvider(name string) (activities.ObjectProvider, error) {
	provider, there := q.planner.Providers[name]
	if there {
		if objects, ok := provider.(activities.ObjectProvider); ok {
			return objects, nil
		}
		return nil, &failure{http.StatusBadRequest, fmt.Sprintf("provider %q is of kind %s, which has no objects of the Kubernetes API; %s", name, q.kinds[name], q.objectProviders())}
	}
	return nil, &failure{http.StatusNotFound, fmt.Sprintf("the worker has no provider %q; %s", name, q.objectProviders())}
}

// objectProviders says in words which providers have objects.
func (q *queries) objectProviders() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(q.planner.Providers)) {
		if _, ok := q.planner.Providers[name].(activities.ObjectProvider); ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none of its providers has any; name a cluster in the workers' file of providers"
	}
	return "of its providers, these have some: " + strings.Join(names, ", ")
}

func (q *queries) objects(ctx context.Context, provider activities.ObjectProvider, data []byte) (any, error) {
	var request schemas.ObjectListRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	if request.Limit <= 0 || request.Limit > schemas.MaxObjects {
		request.Limit = schemas.MaxObjects
	}
	answer, err := provider.ListObjects(ctx, request)
	if err != nil {
		return nil, refusal(err)
	}
	if answer.Objects == nil {
		answer.Objects = []schemas.ObjectSummary{}
	}
	return answer, nil
}

func (q *queries) changeObject(ctx context.Context, subject string, data []byte, change func(context.Context, schemas.ObjectWriteRequest) (schemas.ObjectAnswer, error)) (any, error) {
	answer, err := answerObject(ctx, data, change)
	if err == nil && answer.Outcome != schemas.ObjectUnchanged {
		q.logger.Info("an object was changed by hand", "subject", subject, "object", named(answer.Object), "outcome", answer.Outcome)
	}
	return answer, err
}

// answerObject reads a request and answers it with an object.
func answerObject[T any](ctx context.Context, data []byte, do func(context.Context, T) (schemas.ObjectAnswer, error)) (schemas.ObjectAnswer, error) {
	var request T
	if err := read(data, &request); err != nil {
		return schemas.ObjectAnswer{}, err
	}
	answer, err := do(ctx, request)
	if err != nil {
		return schemas.ObjectAnswer{}, refusal(err)
	}
	answer.Object, err = shownObject(answer.Object)
	return answer, err
}

// refusal gives what a cluster said its code.
func refusal(err error) error {
	var fault *activities.Fault
	if !errors.As(err, &fault) {
		return err
	}
	codes := map[activities.FaultKind]int{
		activities.NotFound: http.StatusNotFound, activities.Invalid: http.StatusUnprocessableEntity, activities.Conflict: http.StatusConflict,
		activities.Unauthorized: http.StatusUnauthorized, activities.Forbidden: http.StatusForbidden, activities.Throttled: http.StatusTooManyRequests,
	}
	if code, known := codes[fault.Kind]; known {
		return &failure{code, fault.Error()}
	}
	return &failure{http.StatusServiceUnavailable, fault.Error()}
}

// lastApplied is where kubectl keeps a copy of what was applied.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// shownObject leaves out of an object what only concerns field managers, and the values
// of a Secret: no secret leaves a worker. They cannot be taken for values either, since
// the server accepts no brackets there.
func shownObject(text json.RawMessage) (json.RawMessage, error) {
	if len(text) == 0 {
		return text, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("the provider's object: %w", err)
	}
	var metadata map[string]json.RawMessage
	if err := json.Unmarshal(object["metadata"], &metadata); err != nil {
		return nil, fmt.Errorf("the provider's object: metadata: %w", err)
	}
	delete(metadata, "managedFields")
	if isSecret(object) {
		for _, member := range []string{"data", "stringData"} {
			var values map[string]any
			if json.Unmarshal(object[member], &values) != nil {
				continue
			}
			for key := range values {
				values[key] = "[redacted]"
			}
			if err := set(object, member, values); err != nil {
				return nil, err
			}
		}
		var annotations map[string]string
		if json.Unmarshal(metadata["annotations"], &annotations) == nil {
			delete(annotations, lastApplied)
			if err := set(metadata, "annotations", annotations); err != nil {
				return nil, err
			}
		}
	}
	if err := set(object, "metadata", metadata); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

func isSecret(object map[string]json.RawMessage) bool {
	return string(object["kind"]) == `"Secret"` && string(object["apiVersion"]) == `"v1"`
}

func set(object map[string]json.RawMessage, member string, value any) error {
	text, err := json.Marshal(value)
	object[member] = text
	return err
}

// named is an object's kind, namespace and name, for the log.
func named(object json.RawMessage) string {
	var head struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	if json.Unmarshal(object, &head) != nil {
		return ""
	}
	return strings.TrimPrefix(head.Kind+" "+head.Metadata.Namespace+"/"+head.Metadata.Name, "/")
}
