package trial

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/dev/images"
)

// readyTimeout is how long PostgreSQL may take to accept queries on a busy machine.
const readyTimeout = 2 * time.Minute

// PostgresPort is the container port of PostgreSQL.
const PostgresPort = "5432/tcp"

// Postgres starts a PostgreSQL that is ready for queries and returns the URL of its database.
func Postgres(t *testing.T, engine *client.Client) (*Container, string) {
	t.Helper()
	const password = "trial-password"
	server := Run(t, engine, images.Postgres(), Options{
		Environment: []string{"POSTGRES_USER=trial", "POSTGRES_PASSWORD=" + password, "POSTGRES_DB=trial"},
		Ports:       []string{PostgresPort},
	})
	address := PostgresURL(server.Address(t, PostgresPort), "trial", password, "trial")
	AwaitPostgres(t, address)
	return server, address
}

// PostgresURL spells the URL of a database, with every character of the credentials kept.
func PostgresURL(address, user, password, database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: address, Path: "/" + database}).String()
}

// AwaitPostgres waits until the database answers a query.
func AwaitPostgres(t *testing.T, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		connection, err := pgx.Connect(ctx, address)
		if err != nil {
			return false
		}
		defer connection.Close(ctx)
		return connection.Ping(ctx) == nil
	}, readyTimeout, 100*time.Millisecond, "PostgreSQL does not accept queries")
}

// PostgresDatabase makes another, empty database in the server of the given URL and returns its URL. It ends with the server.
func PostgresDatabase(t *testing.T, server string) string {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	defer connection.Close(context.Background())
	name := Name("database")
	_, err = connection.Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	require.NoError(t, err)

	parsed, err := url.Parse(server)
	require.NoError(t, err)
	password, _ := parsed.User.Password()
	return PostgresURL(parsed.Host, parsed.User.Username(), password, name)
}
