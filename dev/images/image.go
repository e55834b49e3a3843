// Package images makes the container images that the demo and the tests deploy, without a registry: static binaries of this
// module in images from scratch, and PostgreSQL and Redis from Debian's packages. It loads them into the container engine that the
// environment names, and does nothing when the engine has them already.
package images

import "context"

const (
	// UsersRepository is the repository of the users microservice; its tag is the version.
	UsersRepository = "windlass.local/users"
	// UsersReference is the first version of the users microservice.
	UsersReference = UsersRepository + ":1.0.0"
	// UsersNextReference is the version that an update moves to: the same source with another version string.
	UsersNextReference = UsersRepository + ":1.1.0"
	// FixtureReference is the container that fails on cue, see dev/fixture.
	FixtureReference = "windlass.local/fixture:1"
	// PauseReference is the container that holds the namespaces of a pod, see Pause.
	PauseReference = "windlass.local/pause:1"
	// PostgresReference is PostgreSQL 15 with the contract of the official image.
	PostgresReference = "windlass.local/postgres:15"
	// RedisReference is Redis 7 with the contract of the official image.
	RedisReference = "windlass.local/redis:7"
)

// InputsLabel is the label that carries the hash of all that went into an image, so that a change is noticed.
const InputsLabel = "local.windlass.inputs"

// Image is one image that this package can make. Get one from Users, Fixture, Pause, Postgres or Redis.
type Image struct {
	// Reference is the name under which the engine knows the image.
	Reference string
	recipe    recipe
}

// recipe brings one image into the engine if it is not there already. The caller holds the lock of the image.
type recipe interface {
	ensure(ctx context.Context, builder *Builder, reference string) error
}

// Users is the users microservice of examples/users, whose version string is the tag.
func Users(version string) Image {
	return Image{
		Reference: UsersRepository + ":" + version,
		recipe:    program{packagePath: "windlass/examples/users", name: "users", version: version},
	}
}

// Fixture is the container that fails on cue.
func Fixture() Image {
	return Image{Reference: FixtureReference, recipe: program{packagePath: "windlass/dev/fixture", name: "fixture"}}
}

// Pause is the container in each pod of a real Kubernetes node that does nothing for as long as the pod lives.
func Pause() Image {
	return Image{Reference: PauseReference, recipe: program{
		packagePath: "windlass/dev/fixture", name: "fixture", arguments: []string{"sleep", "24h"},
	}}
}

// Postgres is PostgreSQL 15: the official image where a registry can be reached, otherwise one that is assembled from Debian's
// packages and keeps the same contract (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE, POSTGRES_DB, PGDATA).
// Assembling needs root on a Debian machine and takes a minute or two.
func Postgres() Image {
	return Image{Reference: PostgresReference, recipe: postgres}
}

// Redis is Redis 7, made as Postgres is: the official image, or Debian's package with the same contract (redis-server as the
// user redis, its data in /data).
func Redis() Image {
	return Image{Reference: RedisReference, recipe: redis}
}

// All returns every image of the demo.
func All() []Image {
	return []Image{Fixture(), Users("1.0.0"), Users("1.1.0"), Postgres(), Redis()}
}
