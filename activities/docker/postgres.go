package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/moby/moby/api/types/container"

	"windlass/schemas"
)

const (
	postgresPort = 5432
	// postgresVolume is where the image wants its data. The data lies one folder
	// below, because the server refuses a folder that is not empty, which the root
	// of a volume may be.
	postgresVolume = "/var/lib/postgresql/data"
	postgresData   = postgresVolume + "/pgdata"
)

// postgresEngine is PostgreSQL; template is its image.
type postgresEngine struct{ template string }

var _ databaseEngine = postgresEngine{}

func (e postgresEngine) image(version string) string { return imageOf(e.template, version) }

func (postgresEngine) port() int { return postgresPort }

func (postgresEngine) volume() string { return postgresVolume }

func (postgresEngine) account(resource string, d schemas.Database) account {
	a := account{database: d.Name, user: d.User}
	if a.database == "" {
		a.database = strings.ReplaceAll(resource, "-", "_")
	}
	if a.user == "" {
		a.user = a.database
	}
	return a
}

func (postgresEngine) url(a account, host string) string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", a.user, a.password, host, postgresPort, a.database)
}

func (postgresEngine) configure(config *container.Config, a account) {
	config.Env = []string{
		"PGDATA=" + postgresData,
		"POSTGRES_DB=" + a.database,
		"POSTGRES_PASSWORD=" + a.password,
		"POSTGRES_USER=" + a.user,
	}
}

func (postgresEngine) probe(a account) probe { return postgresProbe{account: a, port: postgresPort} }

// refusal refuses another major version, up or down: only servers of the same
// major version share the format of the data.
// https://www.postgresql.org/docs/current/upgrading.html
func (postgresEngine) refusal(from, to string) (reason, hint string) {
	if versionNumbers(from)[0] == versionNumbers(to)[0] {
		return "", ""
	}
	return fmt.Sprintf("PostgreSQL %s cannot read the data of PostgreSQL %s", to, from),
		"declare a Database of another name, move the data with pg_dump, and remove this one"
}

// postgresProbe asks for an answer to a query. The image's first start runs a
// temporary server that listens on a socket only, and so does not answer here.
type postgresProbe struct {
	account
	port int
}

func (p postgresProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	const what = "SELECT 1: "
	if address == "" {
		return failed, what + "the container has no address"
	}
	target := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.user, p.password),
		Host: net.JoinHostPort(address, strconv.Itoa(p.port)), Path: p.database, RawQuery: "sslmode=disable",
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
