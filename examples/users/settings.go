package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
)

// settings is the configuration, all of it from the environment.
type settings struct {
	// host is the address to listen on, from HOST. Empty, the default, means all addresses.
	host string
	// port is the TCP port to listen on, from PORT. Default 8080; 0 takes a free one.
	port string
	// database is how to reach PostgreSQL, from DATABASE_URL. Required. It holds the password: never log it.
	database *pgxpool.Config
}

func settingsFrom(getenv func(string) string) (settings, error) {
	host, port, err := addressFrom(getenv)
	if err != nil {
		return settings{}, err
	}
	url := getenv("DATABASE_URL")
	if url == "" {
		return settings{}, errors.New("environment variable DATABASE_URL is not set: want postgres://user:password@host:port/database")
	}
	database, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The parser's error repeats parts of the URL, so it stays out.
		return settings{}, errors.New("environment variable DATABASE_URL is malformed: want postgres://user:password@host:port/database")
	}
	return settings{host: host, port: port, database: database}, nil
}

func addressFrom(getenv func(string) string) (host, port string, err error) {
	host = getenv("HOST")
	port = getenv("PORT")
	if port == "" {
		return host, "8080", nil
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("environment variable PORT is %q: want a number from 0 to 65535", port)
	}
	return host, port, nil
}

// address is what the server listens on.
func (s settings) address() string {
	return net.JoinHostPort(s.host, s.port)
}
