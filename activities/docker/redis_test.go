package docker

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
)

func (l *lab) redisDatabase(change func(*schemas.Database)) plan.Desired {
	l.Helper()
	d := schemas.Database{Engine: "redis", Version: "7", StartPeriod: duration(2 * time.Minute)}
	if change != nil {
		change(&d)
	}
	return l.declare("cache", schemas.TypeDatabase, d)
}

// redis connects as the outputs say, except that the host's name becomes its address.
func (l *lab) redis(outputs schemas.Outputs) *redis.Client {
	l.Helper()
	target, err := l.secrets.Reveal(outputs["url"])
	require.NoError(l, err)
	options, err := redis.ParseURL(target)
	require.NoError(l, err)
	require.Equal(l, net.JoinHostPort(outputs["host"], outputs["port"]), options.Addr)
	options.Addr = net.JoinHostPort(l.observed(outputs["host"]).Replicas[0].Address, outputs["port"])
	connection := redis.NewClient(options)
	l.Cleanup(func() { connection.Close() })
	return connection
}

func TestARedisAnswersWhoKnowsThePasswordAndKeepsItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.redisDatabase(nil)
	predicted, err := l.provider.Outputs(d)
	require.NoError(t, err)
	require.Equal(t, schemas.Outputs{
		"name": "0", "user": "default", "host": "cache", "port": "6379", "password": "${generated.cache.password}",
		"url": "redis://default:${generated.cache.password}@cache:6379/0",
	}, predicted)
	require.Equal(t, predicted, l.applied(d))
	o := l.observed("cache")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Equal(t, predicted, o.Outputs)
	require.Equal(t, plan.HealthHealthy, o.Replicas[0].Health)

	connection := l.redis(predicted)
	require.NoError(t, connection.Set(t.Context(), "kept", "42", 0).Err())
	stranger := redis.NewClient(&redis.Options{Addr: connection.Options().Addr})
	defer stranger.Close()
	require.ErrorContains(t, stranger.Get(t.Context(), "kept").Err(), "NOAUTH")

	password, err := l.secrets.Reveal("${generated.cache.password}")
	require.NoError(t, err)
	c := l.inspect(containerName(d, 0))
	said := append(valuesOf(c.Config.Labels), l.spoken.String(), l.containers()[0].Command)
	said = append(said, l.provider.lastLines(t.Context(), c.ID, activities.NewSecretsNone())...)
	for _, text := range said {
		require.NotContains(t, text, password)
	}

	updated := l.redisDatabase(func(d *schemas.Database) { d.Resources.MemoryLimit = "128Mi" })
	l.applied(updated)
	require.Len(t, l.containers(), 1)
	require.Equal(t, updated.SpecHash, l.observed("cache").SpecHash)
	kept, err := l.redis(predicted).Get(t.Context(), "kept").Result()
	require.NoError(t, err)
	require.Equal(t, "42", kept)

	require.NoError(t, l.delete(d.Target))
	require.Empty(t, l.names(), "the data volume goes with the database")
}

// What is written has to be in the file of appended writes, since a server that is
// killed saves nothing.
func TestARedisThatIsKilledKeepsItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.redisDatabase(nil)
	outputs := l.applied(d)
	connection := l.redis(outputs)
	require.NoError(t, connection.Set(t.Context(), "kept", "42", 0).Err())
	appended, err := connection.ConfigGet(t.Context(), "append*").Result()
	require.NoError(t, err)
	require.Equal(t, "yes", appended["appendonly"])
	l.kill(containerName(d, 0))
	l.applied(d)
	kept, err := l.redis(outputs).Get(t.Context(), "kept").Result()
	require.NoError(t, err)
	require.Equal(t, "42", kept)
}

func TestARedisThatRefusesThePasswordIsNotReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.applied(l.redisDatabase(nil))
	address := l.observed("cache").Replicas[0].Address
	v, detail := redisProbe{Account: database.Account{User: "default", Password: "guessed"}, port: 6379}.look(t.Context(), nil, address)
	require.Equal(t, failed, v)
	require.Contains(t, detail, "PING: WRONGPASS")
	v, detail = tcpProbe{port: 6379}.look(t.Context(), nil, address)
	require.Equal(t, passed, v, detail)
}

func TestAnUpgradeOfRedisWithoutAnImageCanGoBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.redisDatabase(nil)
	l.applied(before)
	after := l.redisDatabase(func(d *schemas.Database) { d.Version = "99" })
	require.NoError(t, l.provider.Permit(after, l.observed("cache")))
	f := l.fault(after, activities.NotFound)
	require.Equal(t, "properties.version", f.Field)
	require.Contains(t, f.Message, "windlass.local/redis:99")
	require.NoError(t, l.provider.Permit(before, l.observed("cache")))
	l.applied(before)
	require.Equal(t, plan.StateReady, l.observed("cache").State)
}

func TestTheImageOfADatabaseIsThatOfItsEngine(t *testing.T) {
	t.Parallel()
	p, err := New(Config{Name: "docker"})
	require.NoError(t, err)
	defer p.Close()
	l := &lab{T: t, provider: p}
	for engine, want := range map[string]string{
		"postgres": "docker.io/library/postgres:8.1", "redis": "docker.io/library/redis:8.1", "valkey": "docker.io/valkey/valkey:8.1",
	} {
		d := l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: engine, Version: "8.1"})
		images, err := p.Images(d)
		require.NoError(t, err)
		require.Equal(t, []activities.Image{{Reference: want, Policy: schemas.PullIfNotPresent, Field: "properties.version"}}, images)
	}
	w, err := p.databaseWorkload(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "valkey", Version: "8.1"}), nil, newLab(t).secrets)
	require.NoError(t, err)
	require.Contains(t, w.config.Entrypoint[2], "valkey-server")
	_, err = p.Outputs(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "oracle", Version: "8.1"}))
	require.Equal(t, "use postgres, redis, valkey", requireFault(t, err, activities.Invalid).Hint)
}

// kill ends the container as a power loss would.
func (l *lab) kill(name string) {
	l.Helper()
	_, err := l.engine.ContainerKill(context.Background(), name, client.ContainerKillOptions{Signal: "SIGKILL"})
	require.NoError(l, err)
}
