package docker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"windlass/activities"
	"windlass/activities/database"
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

// probeOf asks a database server a question, as the resources that depend on it will:
// over TCP and with the password.
func probeOf(engine string, a database.Account, port int) probe {
	if engine == schemas.EnginePostgres {
		return postgresProbe{Account: a, port: port}
	}
	return redisProbe{Account: a, port: port}
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
	if err := p.ensureStorage(ctx, d, dataVolumeName(d.Target), declared.Data(), outputs, say); err != nil {
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
	engine, err := database.Find(p.databases, d.Resource, declared)
	if err != nil {
		return nil, err
	}
	a := engine.Account(d.Resource, declared)
	if a.Password, err = secrets.Reveal(a.Password); err != nil {
		return nil, err
	}
	w, err := newWorkload(d, outputs, 1, declared.Networks, declared.Resources, schemas.RestartAlways, period(declared.StopGracePeriod, databaseGrace))
	if err != nil {
		return nil, err
	}
	w.imageField = databaseImageField
	w.attach(declared.SecurityGroups)
	w.config.Image = engine.Image(declared.Version)
	w.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	w.config.Entrypoint = engine.Entrypoint()
	for _, name := range slices.Sorted(maps.Keys(engine.Environment(a))) {
		w.config.Env = append(w.config.Env, name+"="+engine.Environment(a)[name])
	}
	data := mount.Mount{Type: mount.TypeVolume, Source: dataVolumeName(d.Target), Target: engine.Volume()}
	if err := w.hold([]mount.Mount{data}, nil); err != nil {
		return nil, err
	}
	interval, timeout := quantity.Duration(databaseInterval), quantity.Duration(databaseTimeout)
	start := quantity.Duration(period(declared.StartPeriod, databaseStartPeriod))
	// What Observe can do without the password is to see whether the port answers.
	health := schemas.Health{TCP: &schemas.TCPCheck{Port: engine.Port()}, Interval: &interval, Timeout: &timeout, StartPeriod: &start}.WithDefaults()
	return w, w.watch(&health, func() probe { return probeOf(declared.Engine, a, engine.Port()) })
}

// databaseImageField is the property that decides the image of a Database.
const databaseImageField = "properties.version"

func period(declared *quantity.Duration, otherwise time.Duration) time.Duration {
	if declared == nil {
		return otherwise
	}
	return time.Duration(*declared)
}
