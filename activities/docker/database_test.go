package docker

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
)

// database connects to the database of the resource as the outputs say, except
// that the host's name becomes its address.
func (l *lab) database(outputs schemas.Outputs) *pgx.Conn {
	l.Helper()
	target, err := l.secrets.Reveal(outputs["url"])
	require.NoError(l, err)
	address := l.observed(outputs["host"]).Replicas[0].Address
	target = strings.Replace(target, "@"+outputs["host"]+":", "@"+address+":", 1)
	connection, err := pgx.Connect(l.Context(), target)
	require.NoError(l, err)
	l.Cleanup(func() { connection.Close(context.Background()) })
	return connection
}

func TestADatabaseAcceptsQueriesWhenItIsReadyAndKeepsItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	properties := schemas.Database{Engine: "postgres", Version: "15", Networks: []string{l.network("net")}, StartPeriod: duration(2 * time.Minute)}
	d := l.declare("users-db", schemas.TypeDatabase, properties)
	predicted, err := l.provider.Outputs(d)
	require.NoError(t, err)
	require.Equal(t, schemas.Outputs{
		"name": "users_db", "user": "users_db", "host": "users-db", "port": "5432", "password": "${generated.users-db.password}",
		"url": "postgres://users_db:${generated.users-db.password}@users-db:5432/users_db?sslmode=disable",
	}, predicted)
	require.Equal(t, predicted, l.applied(d))

	connection := l.database(predicted)
	_, err = connection.Exec(t.Context(), "CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)")
	require.NoError(t, err)
	require.NoError(t, connection.Close(t.Context()))

	password, err := l.secrets.Reveal("${generated.users-db.password}")
	require.NoError(t, err)
	c := l.inspect(containerName(d, 0))
	require.Equal(t, container.RestartPolicyUnlessStopped, c.HostConfig.RestartPolicy.Name)
	for _, text := range append(valuesOf(c.Config.Labels), l.spoken.String()) {
		require.NotContains(t, text, password)
	}
	o := l.observed("users-db")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Equal(t, predicted, o.Outputs)
	require.Equal(t, plan.HealthHealthy, o.Replicas[0].Health)

	// An update stops the old server before the new one opens the data.
	properties.Resources.MemoryLimit = "256Mi"
	updated := l.declare("users-db", schemas.TypeDatabase, properties)
	l.applied(updated)
	require.Len(t, l.containers(), 1)
	require.Equal(t, updated.SpecHash, l.observed("users-db").SpecHash, "the data volume does not count as another version")
	require.Equal(t, plan.StateReady, l.observed("users-db").State)
	var kept int
	require.NoError(t, l.database(predicted).QueryRow(t.Context(), "SELECT id FROM kept").Scan(&kept))
	require.Equal(t, 42, kept)

	require.NoError(t, l.delete(d.Target))
	require.Equal(t, []string{"network test." + l.scope.Infrastructure + ".net"}, l.names(), "the data volume goes with the database")
}

func TestARetainedDatabaseComesBackWithItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	properties := schemas.Database{Engine: "postgres", Version: "15", StartPeriod: duration(2 * time.Minute), Retention: schemas.RetentionRetain}
	d := l.declare("db", schemas.TypeDatabase, properties)
	outputs := l.applied(d)
	connection := l.database(outputs)
	_, err := connection.Exec(t.Context(), "CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)")
	require.NoError(t, err)
	require.NoError(t, connection.Close(t.Context()))

	require.Equal(t, "1 to delete", plan.Diff(nil, []plan.Observed{l.observed("db")}).String(), "its container goes")
	require.NoError(t, l.delete(d.Target))
	require.Equal(t, []string{"volume test." + l.scope.Infrastructure + ".db.data"}, l.names())
	require.Equal(t, "1 retained", plan.Diff(nil, []plan.Observed{l.observed("db")}).String())

	require.Equal(t, "1 to update", plan.Diff([]plan.Desired{d}, []plan.Observed{l.observed("db")}).String())
	l.applied(d)
	var kept int
	require.NoError(t, l.database(outputs).QueryRow(t.Context(), "SELECT id FROM kept").Scan(&kept))
	require.Equal(t, 42, kept)
}

func TestADatabaseThatRefusesThePasswordIsNotReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	properties := schemas.Database{Engine: "postgres", Version: "15", Name: "shop", User: "keeper", StartPeriod: duration(2 * time.Minute)}
	l.applied(l.declare("db", schemas.TypeDatabase, properties))

	// The data keeps the password of its first start; another master key makes another password.
	other := newLab(t)
	l.secrets = other.secrets
	properties.StartPeriod = duration(5 * time.Second)
	f := l.fault(l.declare("db", schemas.TypeDatabase, properties), activities.Unhealthy)
	require.Contains(t, f.Evidence.Health, "SELECT 1: password authentication failed")
	require.NotEmpty(t, f.Evidence.Logs)
}

func TestDatabaseFaultsNameTheField(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fault(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "oracle", Version: "15"}), activities.Invalid)
	require.Equal(t, "properties.engine", f.Field)
	f = l.fault(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "postgres", Version: "99"}), activities.NotFound)
	require.Equal(t, "properties.version", f.Field)
	require.Contains(t, f.Message, "windlass.local/postgres:99")

	images, err := l.provider.Images(l.declare("db", schemas.TypeDatabase, schemas.Database{Engine: "postgres", Version: "15"}))
	require.NoError(t, err)
	require.Equal(t, []activities.Image{{Reference: "windlass.local/postgres:15", Policy: schemas.PullIfNotPresent, Field: "properties.version"}}, images)
}

func TestAPortThatDoesNotSpeakTheProtocolIsNotReady(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	v, detail := tcpProbe{port: n}.look(t.Context(), nil, "127.0.0.1")
	require.Equal(t, passed, v, detail)
	hidden := database.Account{User: "u", Password: "hidden", Database: "d"}
	for _, p := range []probe{postgresProbe{Account: hidden, port: n}, redisProbe{Account: hidden, port: n}} {
		v, detail = p.look(t.Context(), nil, "127.0.0.1")
		require.Equal(t, failed, v)
		require.NotContains(t, detail, "hidden")
	}
}
