package docker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// refused holds a declaration against what is observed of the resource; it must be
// refused.
func (l *lab) refused(d plan.Desired) *activities.Fault {
	l.Helper()
	return requireFault(l, l.provider.Permit(d, l.observed(d.Resource)), activities.Invalid)
}

func TestPermitRefusesWhatDataDoesNotGoAlongWith(t *testing.T) {
	t.Parallel()
	l := &lab{T: t, provider: newProvider(t, "")}
	postgres := func(change func(*schemas.Database)) schemas.Database {
		d := schemas.Database{Engine: "postgres", Version: "15.4"}
		change(&d)
		return d
	}
	redis := func(version string) schemas.Database { return schemas.Database{Engine: "redis", Version: version} }
	same := func(*schemas.Database) {}
	tests := map[string]struct {
		kind          schemas.ResourceType
		before, after any
		field         string
		words         string
	}{
		"another major version": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Version = "16" }),
			"properties.version", "PostgreSQL 16 cannot read the data of PostgreSQL 15.4; declare a Database of another name, move the data with pg_dump, and remove this one"},
		"a former major version": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Version = "14.9" }),
			"properties.version", "PostgreSQL 14.9 cannot read the data of PostgreSQL 15.4"},
		"another minor version":  {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Version = "15.6" }), "", ""},
		"a former minor version": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Version = "15.1" }), "", ""},
		"no minor version":       {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Version = "15" }), "", ""},
		"another engine": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Engine = "oracle" }),
			"properties.engine", "oracle cannot read the data of postgres"},
		"another name":         {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Name = "shop" }), "properties.name", `made with a database named "db"`},
		"the name spelled out": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Name = "db" }), "", ""},
		"another user":         {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.User = "keeper" }), "properties.user", `made with a user named "db"`},
		"another retention": {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Retention = schemas.RetentionRetain }),
			"properties.retention", `declare retention "delete"`},
		"another size":                  {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Size = "5Gi" }), "properties.size", `made with size ""`},
		"another volume":                {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Driver = "other" }), "properties.driver", `made with driver ""`},
		"the retention spelled out":     {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Retention = schemas.RetentionDelete }), "", ""},
		"limits":                        {schemas.TypeDatabase, postgres(same), postgres(func(d *schemas.Database) { d.Resources.MemoryLimit = "1Gi" }), "", ""},
		"a Redis of the next version":   {schemas.TypeDatabase, redis("7"), redis("8"), "", ""},
		"a Redis of a former version":   {schemas.TypeDatabase, redis("8"), redis("7.4"), "properties.version", "Redis 7.4 cannot read the data of Redis 8; stay with version \"8\""},
		"a Redis of a minor one":        {schemas.TypeDatabase, redis("7.2"), redis("7.4"), "", ""},
		"a Redis of a former minor one": {schemas.TypeDatabase, redis("7.10"), redis("7.9"), "properties.version", "Redis 7.9 cannot read the data of Redis 7.10"},
		"a Redis of any minor one":      {schemas.TypeDatabase, redis("7.4"), redis("7"), "", ""},
		"a Valkey in place of a Redis":  {schemas.TypeDatabase, redis("7.2"), schemas.Database{Engine: "valkey", Version: "8"}, "properties.engine", "valkey cannot read the data of redis"},
		"a label that somebody wrote":   {schemas.TypeDatabase, "a word", postgres(same), "", ""},

		"another driver": {schemas.TypeStorage, schemas.Storage{Driver: "one"}, schemas.Storage{Driver: "other"},
			"properties.driver", `changes driver from "one" to "other", but the volume exists`},
		"another option":                             {schemas.TypeStorage, schemas.Storage{}, schemas.Storage{Options: map[string]string{"type": "tmpfs"}}, "properties.options", "adds options as"},
		"another label":                              {schemas.TypeStorage, schemas.Storage{}, schemas.Storage{Labels: map[string]string{"a.b/c": "d"}}, "properties.labels", "adds labels as"},
		"another retention of a volume":              {schemas.TypeStorage, schemas.Storage{Retention: "retain"}, schemas.Storage{}, "properties.retention", "removes retention"},
		"a volume that does not say how it was made": {schemas.TypeStorage, nil, schemas.Storage{Driver: "other"}, "properties", "has another declaration"},

		"another image": {schemas.TypeCompute, schemas.Compute{Image: "one"}, schemas.Compute{Image: "other"}, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, was := l.declare("db", test.kind, test.after), l.declare("db", test.kind, test.before)
			o := plan.Observed{Target: was.Target, SpecHash: was.SpecHash, Properties: was.Properties}
			if test.before == nil {
				o.Properties = nil
			}
			err := l.provider.Permit(d, o)
			if test.field == "" {
				require.NoError(t, err)
				return
			}
			f := requireFault(t, err, activities.Invalid)
			require.Equal(t, test.field, f.Field)
			require.Contains(t, f.Error(), test.words)
			require.Equal(t, "db", f.Resource)
			require.NotEmpty(t, f.Hint)
		})
	}
}

// The container of a former declaration is kept until that of the next is ready.
func TestPermitLetsAnUpgradeThatNeverCameUpGoBack(t *testing.T) {
	t.Parallel()
	l := &lab{T: t, provider: newProvider(t, "")}
	before := l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "redis", Version: "7"})
	after := l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "redis", Version: "8"})
	o := plan.Observed{Target: after.Target, Properties: after.Properties, Replicas: []plan.Replica{{SpecHash: after.SpecHash}}}
	requireFault(t, l.provider.Permit(before, o), activities.Invalid)
	o.Replicas = append(o.Replicas, plan.Replica{SpecHash: before.SpecHash})
	require.NoError(t, l.provider.Permit(before, o))
}

func TestPermitKnowsFromTheObjectsHowTheyWereMade(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	data := schemas.Storage{Labels: map[string]string{"team": "accounts"}}
	l.applied(l.declare("data", schemas.TypeStorage, data))
	require.NoError(t, l.provider.Permit(l.declare("data", schemas.TypeStorage, data), l.observed("data")))
	f := l.refused(l.declare("data", schemas.TypeStorage, schemas.Storage{Options: map[string]string{"type": "tmpfs"}}))
	require.Equal(t, "properties.labels", f.Field, "the first of the differences in the order of their names")

	db := schemas.Database{Engine: "postgres", Version: "15", Retention: schemas.RetentionRetain, StartPeriod: duration(2 * time.Minute)}
	first := l.declare("db", schemas.TypeDatabase, db)
	l.applied(first)
	db.Resources.MemoryLimit = "256Mi"
	l.applied(l.declare("db", schemas.TypeDatabase, db))
	db.Version = "16"
	require.Equal(t, "properties.version", l.refused(l.declare("db", schemas.TypeDatabase, db)).Field)

	// The volume alone is enough: it is what would be lost.
	require.NoError(t, l.delete(first.Target))
	require.Equal(t, "properties.version", l.refused(l.declare("db", schemas.TypeDatabase, db)).Field)
	db.Version, db.Retention = "15", schemas.RetentionDelete
	require.Equal(t, "properties.retention", l.refused(l.declare("db", schemas.TypeDatabase, db)).Field)
}
