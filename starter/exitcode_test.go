package starter

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheExitCodesAreDocumentedAndNeverChange(t *testing.T) {
	page, err := os.ReadFile("../docs/reference/exit-codes.md")
	require.NoError(t, err)
	help := ran(t, ExitDone, "", "help", "exit-codes").stdout.String()
	for _, e := range exitCodes {
		require.Contains(t, string(page), fmt.Sprintf("| %d | `%s` | %s |\n", e.code, e.word, e.meaning))
		require.Contains(t, help, e.meaning)
	}
	require.Equal(t, len(exitCodes), strings.Count(string(page), "\n| ")-1, "every line of the page is a code")
	require.Equal(t, []ExitCode{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130}, []ExitCode{
		ExitDone, ExitInternal, ExitUsage, ExitRejected, ExitFailed, ExitRolledBack, ExitTimedOut, ExitCancelled,
		ExitUnreachable, ExitNotFound, ExitSuperseded, ExitInterrupted,
	})
}
