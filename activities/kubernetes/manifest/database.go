package manifest

import (
	"maps"
	"slices"
	"time"

	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

const (
	// The defaults of StartPeriod and StopGracePeriod of a Database.
	databaseStartPeriod = 60 * time.Second
	databaseGrace       = 30 * time.Second
	// databaseUser is the user and the group of the server in the official images.
	databaseUser = 999
)

// Engines are the database engines with the images of the provider.
func (o Options) Engines() map[string]database.Engine {
	return database.Engines(database.Images{Postgres: o.PostgresImage, Redis: o.RedisImage, Valkey: o.ValkeyImage})
}

func (t *translation) databaseOutputs(host string) (schemas.Outputs, error) {
	d, err := schemas.Decode[schemas.Database](t.Declaration())
	if err != nil {
		return nil, t.invalid("properties", err.Error(), "")
	}
	engine, err := database.Find(t.options.Engines(), t.Resource, d)
	if err != nil {
		return nil, err
	}
	return database.Outputs(engine, t.Resource, host, d), nil
}

// PermitDatabase refuses what the data on the volume does not go along with.
func PermitDatabase(d plan.Desired, o plan.Observed) error {
	return database.Permit(Options{}.Engines(), d, o)
}

// database is a server with its data on a claim of its own, which outlives it.
func (t *translation) database(d schemas.Database) error {
	namespace, err := t.namespace()
	if err != nil {
		return err
	}
	engine, err := database.Find(t.options.Engines(), t.Resource, d)
	if err != nil {
		return err
	}
	claim := ObjectName(t.Resource)
	t.claim(namespace, claim, d.Data(), map[string]string{})
	environment := engine.Environment(engine.Account(t.Resource, d))
	c := container{name: "server", image: engine.Image(d.Version), pull: d.PullPolicy, entrypoint: engine.Entrypoint(), environment: environment, resources: d.Resources}
	c.mounts = []mount{{name: "data", path: engine.Volume()}}
	start := d.StartPeriod
	if start == nil {
		p := quantity.Duration(databaseStartPeriod)
		start = &p
	}
	interval := quantity.Duration(time.Second)
	timeout := quantity.Duration(5 * time.Second)
	c.health = &schemas.Health{Exec: &schemas.ExecCheck{Command: engine.Check()}, Interval: &interval, Timeout: &timeout, StartPeriod: start}
	grace := d.StopGracePeriod
	if grace == nil {
		p := quantity.Duration(databaseGrace)
		grace = &p
	}
	p := pod{
		containers: []container{c}, grace: *grace, groups: d.SecurityGroups, restart: "Always",
		user: &userGroup{databaseUser, databaseUser}, credentials: d.RegistryCredentials,
		volumes:  []any{fields{"name": "data", "persistentVolumeClaim": fields{"claimName": claim}}, scratch("run"), scratch("tmp")},
		writable: []mount{{name: "run", path: "/var/run"}, {name: "tmp", path: "/tmp"}},
	}
	template, err := t.template(namespace, p)
	if err != nil {
		return err
	}
	t.service(namespace, []schemas.Port{{ContainerPort: engine.Port(), Protocol: "TCP"}})
	t.add("apps/v1", "StatefulSet", namespace, t.setName(), fields{"spec": fields{
		"replicas": 1, "serviceName": ServiceName(t.Resource), "revisionHistoryLimit": revisionHistory,
		"selector": fields{"matchLabels": t.selector()}, "template": template,
	}})
	return nil
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
