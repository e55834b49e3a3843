package database

import (
	"fmt"
	"strings"

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

// postgres is PostgreSQL.
type postgres struct{ image string }

// Image implements Engine.
func (e postgres) Image(version string) string { return imageOf(e.image, version) }

// Port implements Engine.
func (postgres) Port() int { return postgresPort }

// Volume implements Engine.
func (postgres) Volume() string { return postgresVolume }

// Account implements Engine.
func (postgres) Account(resource string, d schemas.Database) Account {
	a := Account{Database: d.Name, User: d.User, Password: GeneratedPassword(resource)}
	if a.Database == "" {
		a.Database = strings.ReplaceAll(resource, "-", "_")
	}
	if a.User == "" {
		a.User = a.Database
	}
	return a
}

// URL implements Engine.
func (postgres) URL(a Account, host string) string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", a.User, a.Password, host, postgresPort, a.Database)
}

// Environment implements Engine.
func (postgres) Environment(a Account) map[string]string {
	return map[string]string{"PGDATA": postgresData, "POSTGRES_DB": a.Database, "POSTGRES_PASSWORD": a.Password, "POSTGRES_USER": a.User}
}

// Entrypoint implements Engine.
func (postgres) Entrypoint() []string { return nil }

// Check implements Engine. The image's first start runs a temporary server that listens
// on a socket only, and so does not answer on the loopback address.
func (postgres) Check() []string {
	return []string{"sh", "-c", `exec pg_isready -h 127.0.0.1 -U "$POSTGRES_USER" -d "$POSTGRES_DB"`}
}

// Refusal refuses another major version, up or down: only servers of the same
// major version share the format of the data.
// https://www.postgresql.org/docs/current/upgrading.html
func (postgres) Refusal(from, to string) (reason, hint string) {
	if versionNumbers(from)[0] == versionNumbers(to)[0] {
		return "", ""
	}
	return fmt.Sprintf("PostgreSQL %s cannot read the data of PostgreSQL %s", to, from),
		"declare a Database of another name, move the data with pg_dump, and remove this one"
}
