package docker

import (
	"context"
	"net"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"windlass/activities/database"
)

// redisProbe asks for an answer to PING, which the server gives when it has loaded
// its data, and only to who knows the password.
type redisProbe struct {
	database.Account
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
		Username: p.User, Password: p.Password, Protocol: 2,
		PoolSize: 1, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer server.Close()
	if err := server.Ping(ctx).Err(); err != nil {
		return failed, what + connectionTrouble(err)
	}
	return passed, what + "answered"
}
