package database

import (
	"fmt"
	"slices"

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

// redis is Redis, or Valkey, which grew out of it and is used in the same way.
type redis struct {
	// title is the engine's name for people; server and client are its programs.
	title, server, client string
	image                 string
}

// Image implements Engine.
func (e redis) Image(version string) string { return imageOf(e.image, version) }

// Port implements Engine.
func (redis) Port() int { return redisPort }

// Volume implements Engine.
func (redis) Volume() string { return redisData }

// Account implements Engine.
func (redis) Account(resource string, _ schemas.Database) Account {
	return Account{Database: redisDatabase, User: redisUser, Password: GeneratedPassword(resource)}
}

// URL implements Engine.
func (redis) URL(a Account, host string) string {
	return fmt.Sprintf("redis://%s:%s@%s:%d/%s", a.User, a.Password, host, redisPort, a.Database)
}

// Environment implements Engine.
func (redis) Environment(a Account) map[string]string {
	return map[string]string{redisPassword: a.Password}
}

// Entrypoint has each write appended to a file, so that no more than the last
// second is lost when the machine goes down. The server takes a password from its
// options only; a shell puts it there, so that the engine does not list it as a
// part of the command. SIGTERM, by which the image is stopped, makes the server
// write down what it has.
func (e redis) Entrypoint() []string {
	return []string{"sh", "-c",
		"exec docker-entrypoint.sh " + e.server + " --dir " + redisData + ` --appendonly yes --requirepass "$` + redisPassword + `"`}
}

// Check implements Engine.
func (e redis) Check() []string {
	return []string{"sh", "-c", e.client + " ping | grep -q PONG"}
}

// Refusal refuses a former version: a server reads the files of every earlier one,
// and none whose format is newer than its own, which may change with a minor
// version too.
// https://github.com/redis/redis/blob/7.0.15/src/rdb.c, rdbLoadRioWithLoadingCtx
func (e redis) Refusal(from, to string) (reason, hint string) {
	before, after := versionNumbers(from), versionNumbers(to)
	known := min(len(before), len(after))
	if slices.Compare(after[:known], before[:known]) >= 0 {
		return "", ""
	}
	return fmt.Sprintf("%s %s cannot read the data of %s %s", e.title, to, e.title, from),
		fmt.Sprintf("stay with version %q, or declare a Database of another name and move the data", from)
}
