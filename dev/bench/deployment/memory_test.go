package deployment

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const idleInfrastructures = 200

// BenchmarkWorkerMemory reports the resident memory of a worker process before it
// served anything and with 200 Infrastructures whose workflows wait for commands.
func BenchmarkWorkerMemory(b *testing.B) {
	program := filepath.Join(b.TempDir(), "windlass-worker")
	out, err := exec.Command("go", "build", "-o", program, "windlass/cmd/windlass-worker").CombinedOutput()
	require.NoError(b, err, string(out))
	for b.Loop() {
		s := start(b)
		command := exec.Command(program, "--nats", s.stack.NATSURL(), "--temporal-address", s.stack.TemporalAddress(), "--master-key-file", masterKey(b))
		stdout, err := command.StdoutPipe()
		require.NoError(b, err)
		require.NoError(b, command.Start())
		ready, err := bufio.NewReader(stdout).ReadString('\n')
		require.NoError(b, err)
		require.Equal(b, "ready\n", ready)
		fresh := resident(b, command.Process.Pid)

		var followers []func()
		for i := range idleInfrastructures {
			name := fmt.Sprintf("idle-%d", i)
			follower := s.follow(b, name, schemas.StatusDeploymentSucceeded)
			id := s.deploy(b, name, 0)
			followers = append(followers, func() { await(b, follower, id) })
		}
		for _, wait := range followers {
			wait()
		}
		idle := settled(b, command.Process.Pid)
		require.NoError(b, command.Process.Signal(syscall.SIGTERM))
		require.NoError(b, command.Wait())
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(fresh, "MiB-fresh")
		b.ReportMetric(idle, "MiB-200-idle")
	}
}

// settled is the least resident memory in ten seconds: what the collector has given back by then.
func settled(b *testing.B, pid int) float64 {
	b.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	least := resident(b, pid)
	for range 10 {
		<-ticker.C
		least = min(least, resident(b, pid))
	}
	return least
}

// resident is the resident memory of a process in MiB, as the kernel counts it.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			require.NoError(b, err)
			return kib / 1024
		}
	}
	b.Fatal("the process has no VmRSS")
	return 0
}
