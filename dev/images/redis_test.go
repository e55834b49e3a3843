package images_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"windlass/dev/images"
	"windlass/dev/images/trial"
)

func TestRedisKeepsTheContractOfTheOfficialImage(t *testing.T) {
	t.Parallel()
	const port = "6379/tcp"
	engine := trial.Engine(t)
	options := trial.Options{
		Command: []string{"--appendonly", "yes", "--requirepass", "trial password"},
		Binds:   []string{trial.Volume(t, engine) + ":/data"},
		Ports:   []string{port},
	}
	connect := func(server *trial.Container, password string) *redis.Client {
		connection := redis.NewClient(&redis.Options{Addr: server.Address(t, port), Password: password})
		t.Cleanup(func() { connection.Close() })
		return connection
	}
	await := func(connection *redis.Client) {
		require.Eventually(t, func() bool { return connection.Ping(t.Context()).Err() == nil }, time.Minute, 50*time.Millisecond)
	}
	server := trial.Run(t, engine, images.Redis(), options)
	connection := connect(server, "trial password")
	await(connection)
	require.ErrorContains(t, connect(server, "wrong").Ping(t.Context()).Err(), "WRONGPASS")
	require.NoError(t, connection.Set(t.Context(), "word", "kept", 0).Err())
	code, owner := server.Exec(t, "stat", "-c", "%U", "/data/appendonlydir", "/proc/1")
	require.Zero(t, code, owner)
	require.Equal(t, "redis\nredis", owner, "the server and its data belong to root")
	require.Zero(t, server.Stop(t, 30), "a stop is clean")

	again := connect(trial.Run(t, engine, images.Redis(), options), "trial password")
	await(again)
	word, err := again.Get(t.Context(), "word").Result()
	require.NoError(t, err)
	require.Equal(t, "kept", word)

	version := trial.Run(t, engine, images.Redis(), trial.Options{Command: []string{"redis-cli", "--version"}})
	require.Zero(t, version.Wait(t))
	require.Contains(t, version.Logs(t), "redis-cli 7.")
}
