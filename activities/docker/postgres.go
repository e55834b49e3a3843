package docker

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/moby/moby/api/types/container"

	"windlass/activities/database"
)

// postgresProbe asks for an answer to a query. The image's first start runs a
// temporary server that listens on a socket only, and so does not answer here.
type postgresProbe struct {
	database.Account
	port int
}

func (p postgresProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	const what = "SELECT 1: "
	if address == "" {
		return failed, what + "the container has no address"
	}
	target := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.User, p.Password),
		Host: net.JoinHostPort(address, strconv.Itoa(p.port)), Path: p.Database, RawQuery: "sslmode=disable",
	}
	connection, err := pgx.Connect(ctx, target.String())
	if err != nil {
		return failed, what + postgresTrouble(err)
	}
	defer connection.Close(ctx)
	var one int
	if err := connection.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
		return failed, what + postgresTrouble(err)
	}
	return passed, what + "answered"
}

// postgresTrouble is the server's own message, or why it could not be reached.
func postgresTrouble(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Message
	}
	return connectionTrouble(err)
}
