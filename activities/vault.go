package activities

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"windlass/schemas"
)

// MasterKeySize is the least number of bytes of a master key.
const MasterKeySize = 32

// Vault holds what secrets are made from. Nothing it knows leaves the activity
// that asks.
type Vault struct {
	masterKey []byte
	directory string
}

// NewVault returns a vault that derives generated credentials from the master key
// and reads named secrets from files in the directory: ${secret.NAME} is the file
// NAME, without its last line break. An empty directory means no named secrets.
func NewVault(masterKey []byte, directory string) (*Vault, error) {
	if len(masterKey) < MasterKeySize {
		return nil, fmt.Errorf("the master key has %d bytes; at least %d are needed", len(masterKey), MasterKeySize)
	}
	return &Vault{masterKey: slices.Clone(masterKey), directory: directory}, nil
}

// Open returns the secrets of one Infrastructure for one activity.
func (v *Vault) Open(scope schemas.Scope) Secrets {
	return &opened{vault: v, scope: scope}
}

// NewSecretsNone returns secrets that reveal nothing, for activities that need none.
func NewSecretsNone() Secrets { return &opened{} }

type opened struct {
	vault *Vault
	scope schemas.Scope

	mutex    sync.Mutex
	revealed []string
}

// Reveal implements Secrets.
func (o *opened) Reveal(text string) (string, error) {
	expanded, err := schemas.Expand(text, o.value)
	if err != nil {
		return "", err
	}
	return schemas.Unescape(expanded), nil
}

func (o *opened) value(r schemas.Reference) (string, error) {
	var value string
	var err error
	switch {
	case o.vault != nil && r.Namespace == schemas.NamespaceSecret:
		value, err = o.vault.named(r.Name)
	case o.vault != nil && r.Namespace == schemas.NamespaceGenerated:
		value, err = o.vault.generated(o.scope, r.Name)
	default:
		err = &Fault{Kind: Invalid, Message: fmt.Sprintf("%s cannot be resolved here", r)}
	}
	if err != nil {
		return "", err
	}
	o.remember(value)
	return value, nil
}

// remember keeps what Redact has to find, the longest first, so that no secret
// hides a part of another one. Logs come line by line, so the lines of a secret
// count as well.
func (o *opened) remember(value string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	parts := []string{value}
	if lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		parts = append(parts, lines...)
	}
	for i, part := range parts {
		tooShort := i > 0 && len(part) < shortestLine
		if part != "" && !tooShort && !slices.Contains(o.revealed, part) {
			o.revealed = append(o.revealed, part)
		}
	}
	slices.SortFunc(o.revealed, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// shortestLine bounds the lines of a secret that are redacted by themselves: a
// closing brace alone gives nothing away.
const shortestLine = 4

// Redact implements Secrets.
func (o *opened) Redact(text string) string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, value := range o.revealed {
		text = strings.ReplaceAll(text, value, "[redacted]")
	}
	return text
}

func (v *Vault) named(name string) (string, error) {
	if v.directory == "" {
		return "", &Fault{Kind: Invalid, Message: fmt.Sprintf("${secret.%s} cannot be resolved: the worker has no secrets directory", name), Hint: "start it with --secrets-dir"}
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return "", &Fault{Kind: Invalid, Message: fmt.Sprintf("${secret.%s} is no name of a secret", name)}
	}
	text, err := os.ReadFile(filepath.Join(v.directory, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &Fault{Kind: NotFound, Message: fmt.Sprintf("the worker knows no secret %q", name), Hint: "put a file of that name into its secrets directory"}
	case err != nil:
		return "", &Fault{Kind: Unavailable, Message: fmt.Sprintf("secret %q cannot be read", name), Err: err}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// generated derives a credential with HKDF (RFC 5869) over SHA-256 from the master
// key and the identity of what it belongs to: 24 bytes as 32 characters that need
// no quoting in a URL.
func (v *Vault) generated(scope schemas.Scope, name string) (string, error) {
	const bytes = 24
	info := fmt.Sprintf("windlass/v1 %s %s", scope, name)
	key, err := hkdf.Key(sha256.New, v.masterKey, nil, info, bytes)
	if err != nil {
		return "", fmt.Errorf("derive ${generated.%s}: %w", name, err)
	}
	return base64.RawURLEncoding.EncodeToString(key), nil
}
