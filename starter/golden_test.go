package starter

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// requireGolden compares text with a file in testdata.
func requireGolden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// drawn is a picture as a terminal of that width shows it, without colours.
func drawn(lines []line, width int) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.cut(width).paint(false) + "\n")
	}
	return b.String()
}
