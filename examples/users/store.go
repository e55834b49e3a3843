package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	// errNotFound says that there is no user with the id.
	errNotFound = errors.New("user not found")
	// errEmailTaken says that another user has the email.
	errEmailTaken = errors.New("email is taken")
)

const (
	// connectTimeout bounds one attempt to connect to the database.
	connectTimeout = 3 * time.Second
	// maxConnections of one replica leaves room for several replicas and an update under PostgreSQL's default of 100.
	maxConnections  = 10
	uniqueViolation = "23505"
	columns         = "id, name, email, created_at, updated_at"
)

// store keeps users in PostgreSQL. It is safe for concurrent use.
type store struct {
	pool *pgxpool.Pool
}

// openStore makes a store without connecting yet. The caller closes it.
func openStore(ctx context.Context, config *pgxpool.Config) (*store, error) {
	config = config.Copy()
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.MaxConns = maxConnections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return &store{pool: pool}, nil
}

func (s *store) close() {
	s.pool.Close()
}

func (s *store) ping(ctx context.Context) error {
	return s.pool.Ping(ctx)
}

// create adds a user. The id is new and sorts after older ones.
func (s *store) create(ctx context.Context, input userInput) (user, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return user{}, fmt.Errorf("new id: %w", err)
	}
	return s.one(ctx, "INSERT INTO users (id, name, email) VALUES ($1, $2, $3) RETURNING "+columns, id, input.Name, input.Email)
}

func (s *store) get(ctx context.Context, id uuid.UUID) (user, error) {
	return s.one(ctx, "SELECT "+columns+" FROM users WHERE id = $1", id)
}

// replace sets all that a caller may set of a user.
func (s *store) replace(ctx context.Context, id uuid.UUID, input userInput) (user, error) {
	return s.one(ctx, "UPDATE users SET name = $2, email = $3, updated_at = now() WHERE id = $1 RETURNING "+columns,
		id, input.Name, input.Email)
}

func (s *store) remove(ctx context.Context, id uuid.UUID) error {
	tag, err := s.pool.Exec(ctx, "DELETE FROM users WHERE id = $1", id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return errNotFound
	}
	return nil
}

// list returns up to limit users in the order of their ids, from the first one after the given id.
func (s *store) list(ctx context.Context, after uuid.UUID, limit int) ([]user, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+columns+" FROM users WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanUser)
}

func (s *store) one(ctx context.Context, sql string, arguments ...any) (user, error) {
	rows, err := s.pool.Query(ctx, sql, arguments...)
	if err != nil {
		return user{}, err
	}
	found, err := pgx.CollectExactlyOneRow(rows, scanUser)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return user{}, errNotFound
	case errors.As(err, &refused) && refused.Code == uniqueViolation && refused.ConstraintName == "users_email_key":
		return user{}, errEmailTaken
	}
	return found, err
}

// scanUser reads one row of columns. Times are in UTC, whatever the zone of this machine is.
func scanUser(row pgx.CollectableRow) (user, error) {
	found, err := pgx.RowToStructByPos[user](row)
	found.CreatedAt = found.CreatedAt.UTC()
	found.UpdatedAt = found.UpdatedAt.UTC()
	return found, err
}
