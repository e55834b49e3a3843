package docker

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Permit implements activities.Provider. What it refuses would lose data, or end
// with a server that cannot read what its volume holds.
func (p *Provider) Permit(desired plan.Desired, observed plan.Observed) error {
	if desired.SpecHash == observed.SpecHash {
		return nil
	}
	switch desired.Type {
	case schemas.TypeNetwork:
		return permitNetwork(desired, observed)
	case schemas.TypeStorage:
		return permitStorage(desired, observed)
	case schemas.TypeDatabase:
		return p.permitDatabase(desired, observed)
	default:
		return nil
	}
}

// permitNetwork refuses to exchange a network that was taken over for one that is
// made, or the other way: its containers would lose each other on the way.
func permitNetwork(d plan.Desired, o plan.Observed) error {
	after, err := decode[schemas.Network](d)
	if err != nil {
		return err
	}
	before, err := schemas.Decode[schemas.Network](schemas.Resource{Name: o.Resource, Type: o.Type, Properties: o.Properties})
	if err != nil || len(o.Properties) == 0 || before.Adopt == after.Adopt {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.adopt",
		Message: fmt.Sprintf("it is %q now and was %q, and a network is not exchanged under its containers", after.Adopt, before.Adopt),
		Hint:    "go back to the former declaration, or declare a Network of another name"}
}

// permitStorage refuses every other declaration of a volume: the engine cannot
// change one, and making it anew would lose its data.
func permitStorage(d plan.Desired, o plan.Observed) error {
	field, change := "properties", "has another declaration"
	changes, err := plan.Changes(o.Properties, d.Properties)
	if err == nil && len(o.Properties) > 0 && len(changes) > 0 {
		property, _, _ := strings.Cut(changes[0].Path, ".")
		field, change = "properties."+property, changes[0].String()
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: field,
		Message: fmt.Sprintf("it %s, but the volume exists, and the engine cannot change a volume", change),
		Hint:    "go back to the former declaration, or declare a Storage of another name and move the data"}
}

// permitDatabase refuses what the data on the volume does not go along with. What
// the labels do not tell, because somebody wrote them by hand, is permitted.
func (p *Provider) permitDatabase(d plan.Desired, o plan.Observed) error {
	after, err := decode[schemas.Database](d)
	if err != nil {
		return err
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
	engine, err := p.databaseEngine(d.Resource, after)
	if err != nil {
		return err
	}
	has, asked := engine.account(d.Resource, before), engine.account(d.Resource, after)
	is, wanted := cmp.Or(before.Retention, schemas.RetentionDelete), cmp.Or(after.Retention, schemas.RetentionDelete)
	switch {
	case is != wanted:
		return refuse("retention", fmt.Sprintf("the data volume was made with retention %q, and the engine cannot change a volume", is),
			fmt.Sprintf("declare retention %q, or another resource and move the data", is))
	case has.database != asked.database:
		return refuse("name", fmt.Sprintf("the server was made with a database named %q, and is not given another one", has.database),
			fmt.Sprintf("declare name %q, or a Database of another name and move the data", has.database))
	case has.user != asked.user:
		return refuse("user", fmt.Sprintf("the server was made with a user named %q, and is not given another one", has.user),
			fmt.Sprintf("declare user %q, or a Database of another name and move the data", has.user))
	case keeps(o, d.SpecHash):
		return nil
	}
	if reason, hint := engine.refusal(before.Version, after.Version); reason != "" {
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

// versionNumbers are the numbers of a version, such as 17 and 5 of "17.5". The
// schema lets nothing else through; what is no number counts as 0.
func versionNumbers(version string) []int {
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		number, _ := strconv.Atoi(part)
		numbers = append(numbers, number)
	}
	return numbers
}
