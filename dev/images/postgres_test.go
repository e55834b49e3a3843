package images_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/dev/images/trial"
)

const dataDirectory = "/var/lib/postgresql/data"

func TestPostgresKeepsTheContractOfTheOfficialImage(t *testing.T) {
	t.Parallel()
	const user, password, database = `ada-the first`, `p'a"s$s %41\w`, `users-1 "x"`
	engine := trial.Engine(t)
	secret := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secret, []byte(password), 0o400))
	volume := trial.Volume(t, engine)
	options := trial.Options{
		Environment: []string{"POSTGRES_USER=" + user, "POSTGRES_PASSWORD_FILE=/run/secret", "POSTGRES_DB=" + database},
		Binds:       []string{secret + ":/run/secret:ro", volume + ":" + dataDirectory},
		Ports:       []string{trial.PostgresPort},
	}
	server := trial.Run(t, engine, images.Postgres(), options)
	address := server.Address(t, trial.PostgresPort)
	url := trial.PostgresURL(address, user, password, database)
	trial.AwaitPostgres(t, url)

	_, err := pgx.Connect(t.Context(), trial.PostgresURL(address, user, "wrong", database))
	require.ErrorContains(t, err, "password authentication failed")
	require.NotContains(t, server.Logs(t), password)

	execute(t, url, "CREATE TABLE kept (word text)")
	require.Zero(t, server.Stop(t, 30), "a stop is clean")

	again := trial.Run(t, engine, images.Postgres(), trial.Options{Binds: options.Binds, Ports: options.Ports})
	url = trial.PostgresURL(again.Address(t, trial.PostgresPort), user, password, database)
	trial.AwaitPostgres(t, url)
	execute(t, url, "INSERT INTO kept VALUES ('still here')")
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer connection.Close(t.Context())
	_, err = connection.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestPostgresTakesServerOptionsAndOtherCommands(t *testing.T) {
	t.Parallel()
	engine := trial.Engine(t)
	other := trial.Run(t, engine, images.Postgres(), trial.Options{Command: []string{"postgres", "--version"}})
	require.Equal(t, 1, other.Wait(t), "the server without a password is refused")
	require.Contains(t, other.Logs(t), "POSTGRES_PASSWORD")

	version := trial.Run(t, engine, images.Postgres(), trial.Options{Command: []string{"psql", "--version"}})
	require.Zero(t, version.Wait(t))
	require.Contains(t, version.Logs(t), "psql (PostgreSQL) 15.")

	server := trial.Run(t, engine, images.Postgres(), trial.Options{
		Environment: []string{"POSTGRES_PASSWORD=x"},
		Command:     []string{"-c", "max_connections=17"},
		Ports:       []string{trial.PostgresPort},
	})
	trial.AwaitPostgres(t, trial.PostgresURL(server.Address(t, trial.PostgresPort), "postgres", "x", "postgres"))
	code, output := server.Exec(t, "psql", "-U", "postgres", "-Atc", "SHOW max_connections")
	require.Zero(t, code, output)
	require.Equal(t, "17", output)
}

func TestPostgresFirstStartThatWasKilledIsDoneAgain(t *testing.T) {
	t.Parallel()
	engine := trial.Engine(t)
	for _, moment := range []string{
		"performing post-bootstrap initialization", "stand-alone backend", "ready to accept connections",
	} {
		t.Run("killed at "+moment, func(t *testing.T) {
			volume := trial.Volume(t, engine)
			options := trial.Options{
				Environment: []string{"POSTGRES_PASSWORD=x", "POSTGRES_DB=app"},
				Binds:       []string{volume + ":" + dataDirectory},
				Ports:       []string{trial.PostgresPort},
			}
			first := trial.Run(t, engine, images.Postgres(), options)
			require.Eventually(t, func() bool { return strings.Contains(first.Logs(t), moment) }, time.Minute, 5*time.Millisecond)
			first.Kill(t)
			expectDatabase(t, trial.Run(t, engine, images.Postgres(), options))
		})
	}
}

func TestPostgresFirstStartThatWasKilledWhileMovingIsDoneAgain(t *testing.T) {
	t.Parallel()
	engine := trial.Engine(t)
	volume := trial.Volume(t, engine)
	binds := []string{volume + ":" + dataDirectory}
	halfMoved := trial.Run(t, engine, images.Postgres(), trial.Options{Binds: binds, Command: []string{"sh", "-ec", `
		mkdir -p "$PGDATA/.unfinished/data/global" "$PGDATA/base/1"
		echo 15 > "$PGDATA/.unfinished/data/PG_VERSION"
		echo broken > "$PGDATA/postgresql.conf"`}})
	require.Zero(t, halfMoved.Wait(t))
	expectDatabase(t, trial.Run(t, engine, images.Postgres(), trial.Options{
		Environment: []string{"POSTGRES_PASSWORD=x", "POSTGRES_DB=app"}, Binds: binds, Ports: []string{trial.PostgresPort},
	}))
}

func expectDatabase(t *testing.T, server *trial.Container) {
	t.Helper()
	trial.AwaitPostgres(t, trial.PostgresURL(server.Address(t, trial.PostgresPort), "postgres", "x", "app"))
	code, output := server.Exec(t, "find", dataDirectory, "-maxdepth", "1", "-name", ".unfinished")
	require.Zero(t, code)
	require.Empty(t, output)
}

func TestPostgresLeavesForeignFilesAlone(t *testing.T) {
	t.Parallel()
	engine := trial.Engine(t)
	volume := trial.Volume(t, engine)
	binds := []string{volume + ":" + dataDirectory}
	foreign := trial.Run(t, engine, images.Postgres(), trial.Options{Binds: binds, Command: []string{"sh", "-c", `echo mine > "$PGDATA/letter"`}})
	require.Zero(t, foreign.Wait(t))

	refused := trial.Run(t, engine, images.Postgres(), trial.Options{Binds: binds, Environment: []string{"POSTGRES_PASSWORD=x"}})
	require.Equal(t, 1, refused.Wait(t))
	require.Contains(t, refused.Logs(t), "is not empty and holds no database")

	look := trial.Run(t, engine, images.Postgres(), trial.Options{Binds: binds, Command: []string{"cat", dataDirectory + "/letter"}})
	require.Zero(t, look.Wait(t))
	require.Equal(t, "mine\n", look.Logs(t))
}
