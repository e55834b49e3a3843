package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/dev/images/trial"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestStopFinishesTheRequestInFlight(t *testing.T) {
	_, database := trial.Postgres(t, trial.Engine(t))
	i := startInstance(t, database)

	// The request hangs in the database for as long as another transaction holds the table.
	holder := connect(t, database)
	blocking, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocking.Exec(t.Context(), "LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	status := make(chan int, 1)
	go func() {
		response, err := http.Post(i.url+"/users", "application/json", strings.NewReader(`{"name":"Ada","email":"ada@example.org"}`))
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	observer := connect(t, database)
	require.Eventually(t, func() bool {
		var waiting int
		err := observer.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting)
		return err == nil && waiting == 1
	}, 10*time.Second, 5*time.Millisecond)

	i.stop()
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
		if err == nil {
			connection.Close()
		}
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "no new connections are taken")
	require.NoError(t, blocking.Commit(t.Context()))
	require.Equal(t, http.StatusCreated, <-status)
	require.NoError(t, <-i.ended)
	require.Contains(t, i.log.String(), `"msg":"stopped"`)
}

func TestImageServesAndStopsOnSIGTERM(t *testing.T) {
	engine := trial.Engine(t)
	network := trial.Network(t, engine)
	service := trial.Run(t, engine, images.Users("1.1.0"), trial.Options{
		Network:     network,
		Environment: []string{"PORT=9000", "DATABASE_URL=" + trial.PostgresURL("late-database", "postgres", "not-for-logs", "postgres")},
	})
	require.Eventually(t, func() bool { return strings.Contains(service.Logs(t), "database is not ready, trying again") },
		time.Minute, 50*time.Millisecond, "it waits for a database that is not there")
	code, output := service.Exec(t, "/users", "-check")
	require.Equal(t, 1, code)
	require.Contains(t, output, "unhealthy: ")
	require.Zero(t, service.Stop(t, 60), "a stop while it waits is no failure")

	database := trial.Run(t, engine, images.Postgres(), trial.Options{Network: network, Environment: []string{"POSTGRES_PASSWORD=not-for-logs"}})
	service = trial.Run(t, engine, images.Users("1.1.0"), trial.Options{
		Network:     network,
		Environment: []string{"PORT=9000", "DATABASE_URL=" + trial.PostgresURL(database.Name, "postgres", "not-for-logs", "postgres")},
	})
	require.Eventually(t, func() bool {
		code, output = service.Exec(t, "/users", "-check")
		return code == 0
	}, 2*time.Minute, 100*time.Millisecond)
	require.Equal(t, `healthy: {"status":"ok","version":"1.1.0"}`, output)
	require.Zero(t, service.Stop(t, 60))
	require.NotContains(t, service.Logs(t), "not-for-logs")
}

func TestRunRefusesConfigurationByName(t *testing.T) {
	const secret = "hunter2"
	cases := map[string]struct {
		environment map[string]string
		names       string
	}{
		"no database":            {map[string]string{}, "DATABASE_URL"},
		"a malformed database":   {map[string]string{"DATABASE_URL": "postgres://u:" + secret + "@h:port/d"}, "DATABASE_URL"},
		"a port that is a word":  {map[string]string{"PORT": "http", "DATABASE_URL": "postgres://u:" + secret + "@h/d"}, "PORT"},
		"a port that is too big": {map[string]string{"PORT": "65536"}, "PORT"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, 2, run(t.Context(), nil, environment(c.environment), &stdout, &stderr))
			require.Contains(t, stdout.String(), "environment variable "+c.names+" ")
			require.NotContains(t, stdout.String()+stderr.String(), secret)
		})
	}
}

func TestRunPrintsItsVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-version"}, environment(nil), &stdout, &stderr))
	require.Equal(t, "development\n", stdout.String())
	require.Equal(t, 2, run(t.Context(), []string{"-no-such-flag"}, environment(nil), &stdout, &stderr))
}

func TestBackoffRepeatsUntilTheDatabaseIsThere(t *testing.T) {
	attempts := 0
	err := withBackoff(t.Context(), time.Minute, slog.New(slog.DiscardHandler), func(context.Context) error {
		if attempts++; attempts < 3 {
			return errors.New("connection refused")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, attempts)
}

func TestBackoffGivesUpWithTheLastReason(t *testing.T) {
	err := withBackoff(t.Context(), time.Millisecond, slog.New(slog.DiscardHandler), func(context.Context) error {
		return errors.New("connection refused")
	})
	require.ErrorContains(t, err, "not ready within 1ms: connection refused")
}
