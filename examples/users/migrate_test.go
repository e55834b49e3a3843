package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"windlass/dev/images/trial"
)

func TestMigrations(t *testing.T) {
	_, server := trial.Postgres(t, trial.Engine(t))

	t.Run("instances that start at once migrate once", func(t *testing.T) {
		database := trial.PostgresDatabase(t, server)
		// All are held back until each of them has come to the lock: then none can be through before the others begin.
		gate := connect(t, database)
		_, err := gate.Exec(t.Context(), "SELECT pg_advisory_lock($1)", migrationLock)
		require.NoError(t, err)
		log := &lockedBuffer{}
		var group errgroup.Group
		for range 3 {
			config, err := pgxpool.ParseConfig(database)
			require.NoError(t, err)
			store, err := openStore(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(store.close)
			group.Go(func() error { return store.migrate(t.Context(), slog.New(slog.NewJSONHandler(log, nil))) })
		}
		require.Eventually(t, func() bool {
			var waiting int
			err := gate.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").Scan(&waiting)
			return err == nil && waiting == 3
		}, time.Minute, 5*time.Millisecond)
		_, err = gate.Exec(t.Context(), "SELECT pg_advisory_unlock($1)", migrationLock)
		require.NoError(t, err)
		require.NoError(t, group.Wait())
		steps, err := migrations()
		require.NoError(t, err)
		require.Equal(t, len(steps), strings.Count(log.String(), `"msg":"migrated"`))
		var applied int
		require.NoError(t, connect(t, database).QueryRow(t.Context(), "SELECT count(*) FROM schema_version").Scan(&applied))
		require.Equal(t, len(steps), applied)
	})

	t.Run("a schema that is newer than the program is left alone", func(t *testing.T) {
		database := trial.PostgresDatabase(t, server)
		startInstance(t, database)
		_, err := connect(t, database).Exec(t.Context(), "INSERT INTO schema_version (version, name) VALUES (999, '0999_later')")
		require.NoError(t, err)
		startInstance(t, database).create(t, "Ada", "ada@example.org")
	})

	t.Run("a step that fails leaves nothing behind", func(t *testing.T) {
		database := trial.PostgresDatabase(t, server)
		_, err := connect(t, database).Exec(t.Context(), "CREATE TABLE users (mine text)")
		require.NoError(t, err)
		config, err := pgxpool.ParseConfig(database)
		require.NoError(t, err)
		store, err := openStore(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(store.close)
		err = store.migrate(t.Context(), slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, "migration 0001_users")
		require.True(t, isPermanent(err), "waiting does not help")
		var tables int
		require.NoError(t, connect(t, database).QueryRow(t.Context(),
			"SELECT count(*) FROM pg_tables WHERE tablename = 'schema_version'").Scan(&tables))
		require.Zero(t, tables)
	})

	t.Run("a wrong password ends the start at once and stays out of the log", func(t *testing.T) {
		wrong := strings.Replace(server, "trial-password", "wrong-password", 1)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), nil, environment(map[string]string{"HOST": "127.0.0.1", "PORT": "0", "DATABASE_URL": wrong}), &stdout, &stderr)
		require.Equal(t, 1, code)
		require.Contains(t, stdout.String(), "password authentication failed")
		require.NotContains(t, stdout.String()+stderr.String(), "wrong-password")
	})
}
