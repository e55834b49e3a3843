package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"windlass/schemas/traffic"
)

// The files of a state directory.
const (
	configurationFile = "configuration.json"
	binaryFile        = "windlass-proxy"
)

// store keeps in a directory what a proxy needs after a restart.
type store struct{ directory string }

// configuration is the last good one; false is none yet.
func (s store) configuration() (traffic.Configuration, bool, error) {
	text, err := os.ReadFile(filepath.Join(s.directory, configurationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return traffic.Configuration{}, false, nil
	}
	if err != nil {
		return traffic.Configuration{}, false, err
	}
	c, err := traffic.ParseConfiguration(text)
	if err != nil {
		return c, false, fmt.Errorf("%s: %w", filepath.Join(s.directory, configurationFile), err)
	}
	return c, true, nil
}

func (s store) keepConfiguration(c traffic.Configuration) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return s.write(configurationFile, 0o600, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// binary is the path of the binary that an upgrade left; empty is none.
func (s store) binary() string {
	path := filepath.Join(s.directory, binaryFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// keepBinary keeps a copy of a binary that serves, for the next start.
func (s store) keepBinary(path string) error {
	if path == filepath.Join(s.directory, binaryFile) {
		return nil
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	return s.write(binaryFile, 0o700, func(f *os.File) error {
		_, err := io.Copy(f, from)
		return err
	})
}

// write makes a file whole or not at all, and so that it outlives a loss of power.
func (s store) write(name string, mode fs.FileMode, content func(*os.File) error) error {
	draft, err := os.OpenFile(filepath.Join(s.directory, name+".draft"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	err = errors.Join(content(draft), draft.Chmod(mode), draft.Sync())
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), filepath.Join(s.directory, name)); err != nil {
		return err
	}
	directory, err := os.Open(s.directory)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}
