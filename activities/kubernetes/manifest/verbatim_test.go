package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// expanded is what a kubelet makes of a text in a command or a variable, where it knows
// the variable PORT. What it does not know it leaves.
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
func expanded(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		end := strings.IndexByte(rest, ')')
		switch {
		case strings.HasPrefix(rest, "$$"):
			out.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$(PORT)"):
			out.WriteString("8080")
			i += end
		case strings.HasPrefix(rest, "$(") && end > 0:
			out.WriteString(rest[:end+1])
			i += end
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
}

func TestAContainerGetsTextsAsTheyAreWritten(t *testing.T) {
	for written, want := range map[string]string{
		"plain": "plain", "$HOME costs 5$": "$HOME costs 5$", "$(PORT)": "$(PORT)", "$$(PORT)": "$$(PORT)", "$$$(PORT)$": "$$$(PORT)$",
		"$$": "$$", "$$$": "$$$", "pid $$ of $(hostname)": "pid $$ of $(hostname)", "$(": "$(", "a $${b} $(PORT)": "a ${b} $(PORT)", "${b}": "${b}",
	} {
		require.Equal(t, want, expanded(verbatim(written)), written)
	}
	require.Equal(t, "8080 $", expanded("$(PORT) $$"), "a kubelet that expands nothing would prove nothing")
	require.Equal(t, "echo $HOME", verbatim("echo $HOME"), "what needs no escape is left as people wrote it")
}
