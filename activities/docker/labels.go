package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// objectLabels are the labels of an object of the resource: those that the
// document gives, and over them those of Windlass.
func objectLabels(d plan.Desired, outputs schemas.Outputs, declared map[string]string) (map[string]string, error) {
	labels := maps.Clone(declared)
	if labels == nil {
		labels = map[string]string{}
	}
	for key := range labels {
		if strings.HasPrefix(key, activities.LabelPrefix) {
			return nil, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.labels",
				Message: fmt.Sprintf("label %q: keys that start with %q are reserved", key, activities.LabelPrefix),
				Hint:    "use another key"}
		}
	}
	maps.Copy(labels, activities.DeclarationLabels(d))
	text, err := json.Marshal(outputs)
	if err != nil {
		return nil, fmt.Errorf("%s: outputs: %w", d.Resource, err)
	}
	labels[activities.LabelOutputs] = string(text)
	return labels, nil
}

// owned says whether labels are those of an object of the target.
func owned(labels map[string]string, t plan.Target) bool {
	return carries(labels, activities.IdentityLabels(t))
}

// carries says whether labels contain all of those that are wanted.
func carries(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// labelFilter finds the objects that carry the labels. Engines differ in whether
// all of them or one is enough, so that what is found is to be held against carries.
func labelFilter(labels map[string]string) client.Filters {
	filters := client.Filters{}
	for key, value := range labels {
		filters.Add("label", key+"="+value)
	}
	return filters
}

// scopeLabels are the labels of everything that this provider holds for the scope.
func (p *Provider) scopeLabels(s schemas.Scope) map[string]string {
	return map[string]string{
		activities.LabelEnvironment:    s.Environment,
		activities.LabelInfrastructure: s.Infrastructure,
		activities.LabelProvider:       p.name,
	}
}

// replicaIndex reads the index of a replica; -1 is a label that is missing or broken.
func replicaIndex(labels map[string]string) int {
	index, err := strconv.Atoi(labels[activities.LabelReplica])
	if err != nil {
		return -1
	}
	return index
}

// separated splits the value of a label that lists names.
func separated(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}
