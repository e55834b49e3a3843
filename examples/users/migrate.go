package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrationFiles holds the steps of the schema, in order of their names: a number, an underscore and a word.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the key of the advisory lock under which one replica migrates while the others wait. Any number will do, as
// long as all versions use the same.
const migrationLock int64 = 0x7573657273

type migration struct {
	version int
	name    string
	sql     string
}

func migrations() ([]migration, error) {
	paths, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]migration, 0, len(paths))
	for _, file := range paths {
		name := strings.TrimSuffix(path.Base(file), ".sql")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("migration %s: its name does not begin with a number", name)
		}
		sql, err := migrationFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		steps = append(steps, migration{version: version, name: name, sql: string(sql)})
	}
	return steps, nil
}

// migrate brings the schema up to date in one transaction, so that it is changed whole or not at all. Replicas that start
// together take turns. A schema that is newer than this program is left alone: migrations are made so that the version before
// can work with them, or an update could not be taken back.
func (s *store) migrate(ctx context.Context, logger *slog.Logger) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrationLock); err != nil {
			return fmt.Errorf("migration lock: %w", err)
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_version (
			version    integer     PRIMARY KEY,
			name       text        NOT NULL,
			applied_at timestamptz NOT NULL DEFAULT now()
		)`); err != nil {
			return fmt.Errorf("table schema_version: %w", err)
		}
		var current int
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM schema_version").Scan(&current); err != nil {
			return fmt.Errorf("table schema_version: %w", err)
		}
		for _, step := range steps {
			if step.version <= current {
				continue
			}
			if _, err := tx.Exec(ctx, step.sql); err != nil {
				return fmt.Errorf("migration %s: %w", step.name, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO schema_version (version, name) VALUES ($1, $2)", step.version, step.name); err != nil {
				return fmt.Errorf("migration %s: %w", step.name, err)
			}
			logger.Info("migrated", "migration", step.name)
		}
		return nil
	})
}
