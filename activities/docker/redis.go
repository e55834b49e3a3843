package docker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"windlass/schemas"
)

const (
	redisPort = 6379
	redisData = "/data"
	// redisUser and redisDatabase are what a server has from the start. Databases
	// have numbers, not names.
	redisUser     = "default"
	redisDatabase = "0"
	// redisPassword is the variable that holds the password. It is the one that the
	// command-line client of the image reads too.
	redisPassword = "REDISCLI_AUTH"
)

// redisEngine is Redis, or Valkey, which grew out of it and is used in the same way.
type redisEngine struct {
	// title is the engine's name for people, program that of its server, template
	// its image.
	title, program, template string
}

var _ databaseEngine = redisEngine{}

func (e redisEngine) image(version string) string { return imageOf(e.template, version) }

func (redisEngine) port() int { return redisPort }

func (redisEngine) volume() string { return redisData }

func (redisEngine) account(string, schemas.Database) account {
	return account{database: redisDatabase, user: redisUser}
}

func (redisEngine) url(a account, host string) string {
	return fmt.Sprintf("redis://%s:%s@%s:%d/%s", a.user, a.password, host, redisPort, a.database)
}

// configure has each write appended to a file, so that no more than the last
// second is lost when the machine goes down. The server takes a password from its
// options only; a shell puts it there, so that the engine does not list it as a
// part of the command. SIGTERM, by which the image is stopped, makes the server
// write down what it has.
func (e redisEngine) configure(config *container.Config, a account) {
	config.Env = []string{redisPassword + "=" + a.password}
	config.Entrypoint = []string{"sh", "-c",
		"exec docker-entrypoint.sh " + e.program + " --dir " + redisData + ` --appendonly yes --requirepass "$` + redisPassword + `"`}
}

func (redisEngine) probe(a account) probe { return redisProbe{account: a, port: redisPort} }

// refusal refuses a former version: a server reads the files of every earlier one,
// and none whose format is newer than its own, which may change with a minor
// version too.
// https://github.com/redis/redis/blob/7.0.15/src/rdb.c, rdbLoadRioWithLoadingCtx
func (e redisEngine) refusal(from, to string) (reason, hint string) {
	before, after := versionNumbers(from), versionNumbers(to)
	known := min(len(before), len(after))
	if slices.Compare(after[:known], before[:known]) >= 0 {
		return "", ""
	}
	return fmt.Sprintf("%s %s cannot read the data of %s %s", e.title, to, e.title, from),
		fmt.Sprintf("stay with version %q, or declare a Database of another name and move the data", from)
}

// redisProbe asks for an answer to PING, which the server gives when it has loaded
// its data, and only to who knows the password.
type redisProbe struct {
	account
	port int
}

func (p redisProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	const what = "PING: "
	if address == "" {
		return failed, what + "the container has no address"
	}
	// Connected here, because the client logs a server that is not up yet.
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(p.port)))
	if err != nil {
		return failed, what + connectionTrouble(err)
	}
	defer connection.Close()
	server := redis.NewClient(&redis.Options{
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return connection, nil },
		Username: p.user, Password: p.password, Protocol: 2,
		PoolSize: 1, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer server.Close()
	if err := server.Ping(ctx).Err(); err != nil {
		return failed, what + connectionTrouble(err)
	}
	return passed, what + "answered"
}
