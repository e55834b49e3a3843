package stack

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"windlass/workflows"
)

// retention is how long Temporal keeps closed workflows. It also bounds how long a workflow ID protects against a
// command that comes again, so no stream may keep commands for longer.
const retention = 7 * 24 * time.Hour

// VersionError says that the data in the directory cannot be read by the Temporal server of this program. Temporal has
// no schema migration for SQLite.
type VersionError struct {
	// Dir is the directory with Temporal's data.
	Dir string
	// Found is the server version that wrote it, empty when it left no trace.
	Found string
	// Want is the version of the server in this program.
	Want string
}

func (e *VersionError) Error() string {
	found := "an unknown Temporal server version"
	if e.Found != "" {
		found = "Temporal server " + e.Found
	}
	return fmt.Sprintf("the data in %s is of %s and this program has %s, which cannot convert it: "+
		"use the program that wrote it, choose another data directory, or remove %s, which forgets all workflows",
		e.Dir, found, e.Want, e.Dir)
}

// database is the SQLite file of the Temporal server with what tells whether it can be used.
type database struct{ dir string }

func (d database) file() string    { return filepath.Join(d.dir, "temporal.db") }
func (d database) version() string { return filepath.Join(d.dir, "server-version") }
func (d database) unfinished() string {
	return filepath.Join(d.dir, "unfinished")
}

func (d database) sql() *config.SQL {
	return &config.SQL{
		PluginName: sqliteplugin.PluginName,
		// SQLite reads it as a URI, in which ?, # and % have a meaning.
		DatabaseName: (&url.URL{Path: d.file()}).EscapedPath(),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			// normal: a killed process loses nothing, a machine without power may lose the last transactions.
			"synchronous": "1",
			// In pages of 4 KiB. Each checkpoint waits for the disk while everything waits for it; the stock 1000 does so
			// every few dozen workflows.
			"wal_autocheckpoint": "10000",
			// In milliseconds, for a person who looks into the file while the server runs.
			"busy_timeout": "10000",
		},
	}
}

// prepare makes a new file ready for the server, or checks that an existing one belongs to the server of this program.
func (d database) prepare() error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("create directory of Temporal: %w", err)
	}
	if _, err := os.Stat(d.unfinished()); err == nil {
		// An earlier start was killed before the server ever ran on the file, so there is nothing in it to lose.
		if err := d.remove(); err != nil {
			return err
		}
	}
	_, err := os.Stat(d.file())
	switch {
	case err == nil:
		return d.checkVersion()
	case errors.Is(err, os.ErrNotExist):
		return d.create()
	default:
		return fmt.Errorf("look for the database of Temporal: %w", err)
	}
}

func (d database) checkVersion() error {
	content, err := os.ReadFile(d.version())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read version of the database of Temporal: %w", err)
	}
	if found := strings.TrimSpace(string(content)); found != headers.ServerVersion {
		return &VersionError{Dir: d.dir, Found: found, Want: headers.ServerVersion}
	}
	return nil
}

func (d database) create() error {
	if err := os.WriteFile(d.unfinished(), nil, 0o600); err != nil {
		return fmt.Errorf("mark the database of Temporal as unfinished: %w", err)
	}
	if err := os.WriteFile(d.version(), []byte(headers.ServerVersion+"\n"), 0o600); err != nil {
		return fmt.Errorf("write version of the database of Temporal: %w", err)
	}
	if err := sqlite.SetupSchema(d.sql()); err != nil {
		return fmt.Errorf("create the database of Temporal: %w", err)
	}
	ns, err := sqlite.NewNamespaceConfig(clusterName, namespace, false, workflows.SearchAttributes())
	if err != nil {
		return fmt.Errorf("set up namespace %s: %w", namespace, err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqlite.CreateNamespaces(d.sql(), ns); err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	if err := os.Remove(d.unfinished()); err != nil {
		return fmt.Errorf("mark the database of Temporal as finished: %w", err)
	}
	return nil
}

func (d database) remove() error {
	files, err := filepath.Glob(d.file() + "*")
	if err != nil {
		return fmt.Errorf("look for an unfinished database of Temporal: %w", err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove an unfinished database of Temporal: %w", err)
		}
	}
	return nil
}
