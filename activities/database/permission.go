package database

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Find returns the engine that a Database declares.
func Find(engines map[string]Engine, resource string, d schemas.Database) (Engine, error) {
	engine, ok := engines[d.Engine]
	if !ok {
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.engine",
			Message: fmt.Sprintf("there is no database engine %q", d.Engine),
			Hint:    "use " + strings.Join(slices.Sorted(maps.Keys(engines)), ", ")}
	}
	return engine, nil
}

// Permit refuses, with a *Fault of kind Invalid that names the field, what the data on the volume does not go along with. What
// the labels do not tell, because somebody wrote them by hand, is permitted.
func Permit(engines map[string]Engine, d plan.Desired, o plan.Observed) error {
	after, err := schemas.Decode[schemas.Database](d.Declaration())
	if err != nil {
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	before, err := schemas.Decode[schemas.Database](schemas.Resource{Name: o.Resource, Type: o.Type, Properties: o.Properties})
	if err != nil || before.Engine == "" {
		return nil
	}
	refuse := func(property, message, hint string) error {
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties." + property, Message: message, Hint: hint}
	}
	if before.Engine != after.Engine {
		return refuse("engine", fmt.Sprintf("%s cannot read the data of %s", after.Engine, before.Engine),
			"declare a Database of another name, move the data, and remove this one")
	}
	engine, err := Find(engines, d.Resource, after)
	if err != nil {
		return err
	}
	has, asked := engine.Account(d.Resource, before), engine.Account(d.Resource, after)
	is, wanted := cmp.Or(before.Retention, schemas.RetentionDelete), cmp.Or(after.Retention, schemas.RetentionDelete)
	switch {
	case is != wanted:
		return refuse("retention", fmt.Sprintf("the data volume was made with retention %q, and the engine cannot change a volume", is),
			fmt.Sprintf("declare retention %q, or another resource and move the data", is))
	case before.Driver != after.Driver:
		return refuse("driver", fmt.Sprintf("the data volume was made with driver %q, and a volume does not change its driver", before.Driver),
			fmt.Sprintf("declare driver %q, or a Database of another name and move the data", before.Driver))
	case has.Database != asked.Database:
		return refuse("name", fmt.Sprintf("the server was made with a database named %q, and is not given another one", has.Database),
			fmt.Sprintf("declare name %q, or a Database of another name and move the data", has.Database))
	case has.User != asked.User:
		return refuse("user", fmt.Sprintf("the server was made with a user named %q, and is not given another one", has.User),
			fmt.Sprintf("declare user %q, or a Database of another name and move the data", has.User))
	case keeps(o, d.SpecHash):
		return nil
	}
	if reason, hint := engine.Refusal(before.Version, after.Version); reason != "" {
		return refuse("version", reason, hint)
	}
	return nil
}

// keeps says whether a container of the declaration is still there. The containers
// of a former declaration are kept until those of the next are ready, so that the
// next never were, and going back is no change.
func keeps(o plan.Observed, hash string) bool {
	return slices.ContainsFunc(o.Replicas, func(r plan.Replica) bool { return r.SpecHash == hash })
}
