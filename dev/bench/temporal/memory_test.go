package temporal_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// settle is how long windlass-dev idles before its memory is read: the servers have done by then what they do once.
const settle = 10 * time.Second

// BenchmarkIdleMemory reports the resident memory of windlass-dev with its web UI and without a worker: all of it, and
// what of it is not the program file, which the kernel shares and drops as it likes.
func BenchmarkIdleMemory(b *testing.B) {
	program := filepath.Join(b.TempDir(), "windlass-dev")
	out, err := exec.Command("go", "build", "-o", program, "windlass/cmd/windlass-dev").CombinedOutput()
	require.NoError(b, err, string(out))

	var resident, anonymous []float64
	for b.Loop() {
		total, private := idleMemory(b, program)
		resident = append(resident, total)
		anonymous = append(anonymous, private)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(slices.Max(resident), "MiB-resident")
	b.ReportMetric(slices.Max(anonymous), "MiB-anonymous")
}

func idleMemory(b *testing.B, program string) (resident, anonymous float64) {
	b.Helper()
	command := exec.Command(program, "--data-dir", b.TempDir(), "--no-worker",
		"--nats-address", "127.0.0.1:0", "--temporal-address", "127.0.0.1:0", "--ui-address", "127.0.0.1:0")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, command.Start())
	defer func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	}()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "ready") {
	}
	require.Contains(b, lines.Text(), "ready")
	time.Sleep(settle)

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
	require.NoError(b, err)
	return mebibytes(b, string(status), "VmRSS:"), mebibytes(b, string(status), "RssAnon:")
}

// mebibytes reads a field that the kernel states in kB.
func mebibytes(b *testing.B, status, field string) float64 {
	b.Helper()
	_, rest, found := strings.Cut(status, field)
	require.True(b, found, field)
	var kilobytes float64
	_, err := fmt.Sscanf(rest, "%f kB", &kilobytes)
	require.NoError(b, err)
	return kilobytes / 1024
}
