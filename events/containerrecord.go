package events

import (
	"context"
	"sort"

	"windlass/schemas"
)

// containerKey is the key of the record of a container. No environment is named as its
// first token is.
func containerKey(environment, container string) string {
	return schemas.ContainersName + "." + environment + "." + container
}

// Containers returns the containers of one environment, or of all where it is empty,
// by environment and name. Those that were removed are among them.
func (r *Records) Containers(ctx context.Context, environment string) ([]schemas.ContainerRecord, error) {
	if environment == "" {
		environment = "*"
	}
	records, err := list[schemas.ContainerRecord](ctx, r.bucket, containerKey(environment, "*"))
	sort.Slice(records, func(i, j int) bool { return records[i].Scope().String() < records[j].Scope().String() })
	return records, err
}

// Container returns the record of one container; nil is one that nobody has heard of.
func (r *Records) Container(ctx context.Context, environment, container string) (*schemas.ContainerRecord, error) {
	record, _, err := get[schemas.ContainerRecord](ctx, r.bucket, containerKey(environment, container))
	return record, err
}

func containerRecord(old *schemas.ContainerRecord, e schemas.Event) *schemas.ContainerRecord {
	if old != nil && e.Sequence <= old.Sequence {
		return nil
	}
	return &schemas.ContainerRecord{
		ContainerStatus: *e.Container, Moved: schemas.ContainerMove(e.Type), Workflow: e.CorrelationID, Since: e.Time, Sequence: e.Sequence,
	}
}
