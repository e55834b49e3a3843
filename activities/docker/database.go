package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

const (
	// The defaults of StartPeriod and StopGracePeriod of a Database.
	databaseStartPeriod = 60 * time.Second
	databaseGrace       = 30 * time.Second
	// The checks of a Database.
	databaseInterval = time.Second
	databaseTimeout  = 5 * time.Second
)

// databaseEngine is what the provider knows of one kind of database server.
type databaseEngine interface {
	// image is the reference of the image that serves a version.
	image(version string) string
	// port is where the server listens.
	port() int
	// volume is where the image keeps its data.
	volume() string
	// account is who opens which database, without the password.
	account(resource string, d schemas.Database) account
	// url opens the database of an account on a host.
	url(a account, host string) string
	// configure tells the container which account to serve.
	configure(config *container.Config, a account)
	// probe asks the server a question, as the resources that depend on it will:
	// over TCP and with the password.
	probe(a account) probe
	// refusal says why a server of one version cannot take over the data of another,
	// and what to do about it; an empty reason is none.
	refusal(from, to string) (reason, hint string)
}

// account is what opens a database. Password is a placeholder until a container
// is made.
type account struct{ database, user, password string }

// newDatabaseEngines are the engines by the name that documents give them.
func newDatabaseEngines(c Config) map[string]databaseEngine {
	return map[string]databaseEngine{
		schemas.EnginePostgres: postgresEngine{template: c.PostgresImage},
		schemas.EngineRedis:    redisEngine{title: "Redis", program: "redis-server", template: c.RedisImage},
		schemas.EngineValkey:   redisEngine{title: "Valkey", program: "valkey-server", template: c.ValkeyImage},
	}
}

// databaseEngine returns the engine that a Database declares.
func (p *Provider) databaseEngine(resource string, d schemas.Database) (databaseEngine, error) {
	engine, ok := p.databases[d.Engine]
	if !ok {
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.engine",
			Message: fmt.Sprintf("the Docker provider has no database engine %q", d.Engine),
			Hint:    "use " + strings.Join(slices.Sorted(maps.Keys(p.databases)), ", ")}
	}
	return engine, nil
}

func (p *Provider) databaseOutputs(resource string, d schemas.Database) (schemas.Outputs, error) {
	engine, err := p.databaseEngine(resource, d)
	if err != nil {
		return nil, err
	}
	a := engine.account(resource, d)
	a.password = generatedPassword(resource)
	return schemas.Outputs{
		"name": a.database, "host": resource, "port": strconv.Itoa(engine.port()),
		"user": a.user, "password": a.password, "url": engine.url(a, resource),
	}, nil
}

// generatedPassword is the placeholder of a Database's password.
func generatedPassword(resource string) string {
	return schemas.Reference{Namespace: schemas.NamespaceGenerated, Name: resource + ".password"}.String()
}

func (p *Provider) applyDatabase(ctx context.Context, d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets, say activities.Progress) error {
	w, err := p.databaseWorkload(d, outputs, secrets)
	if err != nil {
		return err
	}
	declared, err := decode[schemas.Database](d)
	if err != nil {
		return err
	}
	data := schemas.Storage{Retention: declared.Retention}
	if err := p.ensureStorage(ctx, d, dataVolumeName(d.Target), data, outputs, say); err != nil {
		return err
	}
	return p.applyWorkload(ctx, w, secrets, say)
}

// databaseWorkload translates a Database, with its password revealed.
func (p *Provider) databaseWorkload(d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets) (*workload, error) {
	declared, err := decode[schemas.Database](d)
	if err != nil {
		return nil, err
	}
	engine, err := p.databaseEngine(d.Resource, declared)
	if err != nil {
		return nil, err
	}
	a := engine.account(d.Resource, declared)
	if a.password, err = secrets.Reveal(generatedPassword(d.Resource)); err != nil {
		return nil, err
	}
	w, err := newWorkload(d, outputs, 1, declared.Networks, declared.Resources, schemas.RestartAlways, period(declared.StopGracePeriod, databaseGrace))
	if err != nil {
		return nil, err
	}
	w.imageField = databaseImageField
	w.attach(declared.SecurityGroups)
	w.config.Image = engine.image(declared.Version)
	w.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	engine.configure(w.config, a)
	data := mount.Mount{Type: mount.TypeVolume, Source: dataVolumeName(d.Target), Target: engine.volume()}
	if err := w.hold([]mount.Mount{data}, nil); err != nil {
		return nil, err
	}
	interval, timeout := quantity.Duration(databaseInterval), quantity.Duration(databaseTimeout)
	start := quantity.Duration(period(declared.StartPeriod, databaseStartPeriod))
	// What Observe can do without the password is to see whether the port answers.
	health := schemas.Health{TCP: &schemas.TCPCheck{Port: engine.port()}, Interval: &interval, Timeout: &timeout, StartPeriod: &start}.WithDefaults()
	return w, w.watch(&health, func() probe { return engine.probe(a) })
}

// databaseImageField is the property that decides the image of a Database.
const databaseImageField = "properties.version"

// imageOf is the image that a template gives for a version.
func imageOf(template, version string) string {
	return strings.ReplaceAll(template, "{version}", version)
}

func period(declared *quantity.Duration, otherwise time.Duration) time.Duration {
	if declared == nil {
		return otherwise
	}
	return time.Duration(*declared)
}
