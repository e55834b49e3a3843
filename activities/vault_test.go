package activities

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func vault(t *testing.T, key, directory string) *Vault {
	t.Helper()
	v, err := NewVault([]byte(strings.Repeat(key, MasterKeySize)), directory)
	require.NoError(t, err)
	return v
}

func reveal(t *testing.T, s Secrets, text string) string {
	t.Helper()
	value, err := s.Reveal(text)
	require.NoError(t, err)
	return value
}

func TestGeneratedCredentialsAreStableAndDifferByIdentity(t *testing.T) {
	const text = "${generated.db.password}"
	one := reveal(t, vault(t, "k", "").Open(users), text)
	require.Regexp(t, regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`), one)
	require.Equal(t, one, reveal(t, vault(t, "k", t.TempDir()).Open(users), text))
	seen := map[string]string{one: "the first"}
	for name, other := range map[string]string{
		"another key":            reveal(t, vault(t, "l", "").Open(users), text),
		"another environment":    reveal(t, vault(t, "k", "").Open(schemas.Scope{Environment: "production", Infrastructure: "users"}), text),
		"another infrastructure": reveal(t, vault(t, "k", "").Open(schemas.Scope{Environment: "staging", Infrastructure: "orders"}), text),
		"another resource":       reveal(t, vault(t, "k", "").Open(users), "${generated.db2.password}"),
		"another name":           reveal(t, vault(t, "k", "").Open(users), "${generated.db.token}"),
		"a moved border":         reveal(t, vault(t, "k", "").Open(schemas.Scope{Environment: "staging/users", Infrastructure: ""}), text),
	} {
		require.Len(t, other, 32)
		require.Emptyf(t, seen[other], "%s is as %s", name, seen[other])
		seen[other] = name
	}
}

// Another value would lock every running service out of its database. This one was
// computed by another implementation of HKDF.
func TestADerivedCredentialNeverChanges(t *testing.T) {
	require.Equal(t, "xbtADseVsGbchE4EbSOFKkO2UoP93c1w", reveal(t, vault(t, "k", "").Open(users), "${generated.db.password}"))
}

func TestNamedSecretsComeFromFiles(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"PLAIN": "s3cret", "LINE": "s3cret\n", "DOS": "s3cret\r\n", "LINES": "one\ntwo\n\n", "EMPTY": "", "..hidden": "x", ".hidden": "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600))
	}
	s := vault(t, "k", directory).Open(users)
	require.Equal(t, "s3cret s3cret s3cret ${x.y} ", reveal(t, s, "${secret.PLAIN} ${secret.LINE} ${secret.DOS} $${x.y} ${secret.EMPTY}"))
	require.Equal(t, "one\ntwo\n", reveal(t, s, "${secret.LINES}"))
}

func TestAPlaceholderThatNothingResolvesIsNamed(t *testing.T) {
	outside := t.TempDir()
	directory := filepath.Join(outside, "secrets")
	require.NoError(t, os.Mkdir(directory, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "key"), []byte("stolen"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(directory, "folder"), 0o700))
	tests := map[string]struct {
		directory string
		text      string
		kind      FaultKind
		message   string
	}{
		"no file":               {directory, "${secret.MISSING}", NotFound, `the worker knows no secret "MISSING"`},
		"no directory":          {"", "${secret.TOKEN}", Invalid, "the worker has no secrets directory"},
		"a path":                {directory, "${secret.folder/key}", Invalid, "is no name of a secret"},
		"an absolute path":      {directory, "${secret./etc/passwd}", Invalid, "is no name of a secret"},
		"a folder":              {directory, "${secret.folder}", Unavailable, `secret "folder" cannot be read`},
		"another resource":      {directory, "${db.password}", Invalid, "${db.password} cannot be resolved here"},
		"a parameter":           {directory, "${param.name}", Invalid, "${param.name} cannot be resolved here"},
		"a way out":             {directory, "${secret.../key}", "", "is no reference"},
		"a hidden file":         {directory, "${secret..hidden}", "", "is no reference"},
		"a brace that is open":  {directory, "${secret.TOKEN", "", "no closing brace"},
		"the directory itself":  {directory, "${secret..}", "", "is no reference"},
		"a name that is empty":  {directory, "${secret.}", "", "is no reference"},
		"a name with a newline": {directory, "${secret.a\nb}", "", "is no reference"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			value, err := vault(t, "k", test.directory).Open(users).Reveal("x" + test.text)
			require.ErrorContains(t, err, test.message)
			require.Empty(t, value)
			if test.kind != "" {
				require.True(t, IsKind(err, test.kind), "%#v", err)
			}
		})
	}
	v := vault(t, "k", directory)
	for _, name := range []string{"../key", "..", ".", "folder/../../key", "/etc/passwd"} {
		_, err := v.named(name)
		require.True(t, IsKind(err, Invalid), "%s: %v", name, err)
	}
}

func TestRedactFindsEverythingThatWasRevealed(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"SHORT": "hunter2", "LONG": "hunter2-and-more", "KEY": "-----BEGIN-----\nabcdef\n}\n-----END-----\n", "EMPTY": ""} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600))
	}
	s := vault(t, "k", directory).Open(users)
	require.Equal(t, "hunter2", s.Redact("hunter2"), "it was not revealed yet")
	reveal(t, s, "${secret.SHORT}${secret.LONG}${secret.KEY}${secret.EMPTY}")
	password := reveal(t, s, "${generated.db.password}")
	require.Equal(t, "[redacted] [redacted]: [redacted]", s.Redact("hunter2-and-more hunter2: "+password), "a short secret leaves the rest of a longer one")
	require.Equal(t, "log: [redacted]", s.Redact("log: -----BEGIN-----\nabcdef\n}\n-----END-----"))
	require.Equal(t, "log: [redacted] }", s.Redact("log: abcdef }"), "a line of a secret in a log")
	require.Empty(t, s.Redact(""))
}

func TestSecretsNoneRevealNothing(t *testing.T) {
	for _, text := range []string{"${secret.TOKEN}", "${generated.db.password}"} {
		_, err := NewSecretsNone().Reveal(text)
		require.True(t, IsKind(err, Invalid))
	}
	require.Equal(t, "plain", reveal(t, NewSecretsNone(), "plain"))
	require.Equal(t, "plain", NewSecretsNone().Redact("plain"))
}

func TestAMasterKeyMustBeLong(t *testing.T) {
	_, err := NewVault(make([]byte, MasterKeySize-1), "")
	require.EqualError(t, err, "the master key has 31 bytes; at least 32 are needed")
}
