// Package database is what providers know of database servers wherever they run: their
// images, accounts and addresses, and which version reads the data of which. It does no
// I/O.
package database

import (
	"cmp"
	"strconv"
	"strings"

	"windlass/schemas"
)

// The images of Databases, in which {version} stands for the declared version.
const (
	DefaultPostgresImage = "docker.io/library/postgres:{version}"
	DefaultRedisImage    = "docker.io/library/redis:{version}"
	DefaultValkeyImage   = "docker.io/valkey/valkey:{version}"
)

// Engine is what is known of one kind of database server. Its images keep the contract
// of the official ones.
type Engine interface {
	// Image is the reference of the image that serves a version.
	Image(version string) string
	// Port is where the server listens.
	Port() int
	// Volume is where the image keeps its data.
	Volume() string
	// Account is who opens which database, with the placeholder of the password.
	Account(resource string, d schemas.Database) Account
	// URL opens the database of an account on a host.
	URL(a Account, host string) string
	// Environment tells the image which account to serve.
	Environment(a Account) map[string]string
	// Entrypoint replaces that of the image; none leaves it.
	Entrypoint() []string
	// Check is a command in the container that exits with 0 when the server answers.
	Check() []string
	// Refusal says why a server of one version cannot take over the data of another, and
	// what to do about it; an empty reason is none.
	Refusal(from, to string) (reason, hint string)
}

// Account is what opens a database.
type Account struct{ Database, User, Password string }

// Images are the images of the engines, with {version} for the declared version; empty
// are the defaults.
type Images struct{ Postgres, Redis, Valkey string }

// Engines are the engines by the name that documents give them.
func Engines(i Images) map[string]Engine {
	return map[string]Engine{
		schemas.EnginePostgres: postgres{image: cmp.Or(i.Postgres, DefaultPostgresImage)},
		schemas.EngineRedis:    redis{title: "Redis", server: "redis-server", client: "redis-cli", image: cmp.Or(i.Redis, DefaultRedisImage)},
		schemas.EngineValkey:   redis{title: "Valkey", server: "valkey-server", client: "valkey-cli", image: cmp.Or(i.Valkey, DefaultValkeyImage)},
	}
}

// GeneratedPassword is the placeholder of a Database's password.
func GeneratedPassword(resource string) string {
	return schemas.Reference{Namespace: schemas.NamespaceGenerated, Name: resource + ".password"}.String()
}

// Outputs are the outputs of a Database on a host.
func Outputs(e Engine, resource, host string, d schemas.Database) schemas.Outputs {
	a := e.Account(resource, d)
	return schemas.Outputs{
		"name": a.Database, "host": host, "port": strconv.Itoa(e.Port()),
		"user": a.User, "password": a.Password, "url": e.URL(a, host),
	}
}

// imageOf is the image that a template gives for a version.
func imageOf(template, version string) string {
	return strings.ReplaceAll(template, "{version}", version)
}

// versionNumbers are the numbers of a version, such as 17 and 5 of "17.5". The
// schema lets nothing else through; what is no number counts as 0.
func versionNumbers(version string) []int {
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		number, _ := strconv.Atoi(part)
		numbers = append(numbers, number)
	}
	return numbers
}
