package docker

import (
	"cmp"
	"fmt"
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
	case schemas.TypeStorage:
		return permitStorage(desired, observed)
	case schemas.TypeDatabase:
		return permitDatabase(desired, observed)
	default:
		return nil
	}
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
func permitDatabase(d plan.Desired, o plan.Observed) error {
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
	nameBefore, userBefore := databaseNames(o.Resource, before)
	name, user := databaseNames(d.Resource, after)
	is, wanted := cmp.Or(before.Retention, schemas.RetentionDelete), cmp.Or(after.Retention, schemas.RetentionDelete)
	switch {
	case before.Engine != after.Engine:
		return refuse("engine", fmt.Sprintf("%s cannot read the data of %s", after.Engine, before.Engine),
			"declare a Database of another name, move the data, and remove this one")
	case is != wanted:
		return refuse("retention", fmt.Sprintf("the data volume was made with retention %q, and the engine cannot change a volume", is),
			fmt.Sprintf("declare retention %q, or another resource and move the data", is))
	case nameBefore != name:
		return refuse("name", fmt.Sprintf("the server was made with a database named %q, and is not given another one", nameBefore),
			fmt.Sprintf("declare name %q, or a Database of another name and move the data", nameBefore))
	case userBefore != user:
		return refuse("user", fmt.Sprintf("the server was made with a user named %q, and is not given another one", userBefore),
			fmt.Sprintf("declare user %q, or a Database of another name and move the data", userBefore))
	}
	if reason, hint := postgresRefusal(before.Version, after.Version); reason != "" {
		return refuse("version", reason, hint)
	}
	return nil
}

// postgresRefusal says why a server of one version cannot take over the data of
// another, and what to do; empty is nothing. Only servers of the same major version
// share the format of the data:
// https://www.postgresql.org/docs/current/upgrading.html
func postgresRefusal(from, to string) (reason, hint string) {
	if majorVersion(from) == majorVersion(to) {
		return "", ""
	}
	return fmt.Sprintf("PostgreSQL %s cannot read the data of PostgreSQL %s", to, from),
		"declare a Database of another name, move the data with pg_dump, and remove this one"
}

// majorVersion is the number before the first dot.
func majorVersion(version string) int {
	text, _, _ := strings.Cut(version, ".")
	major, _ := strconv.Atoi(text) // The schema lets nothing but numbers through.
	return major
}
