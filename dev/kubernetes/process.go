package kubernetes

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"windlass/dev/engine/host"
)

// nursery starts processes that end with this one, however it ends. The kernel ties a child's life to the thread that started
// it and not to the process, so one thread does nothing else. Closing the nursery ends that thread.
type nursery struct{ starts chan func() }

func newNursery() *nursery {
	n := &nursery{starts: make(chan func())}
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		for start := range n.starts {
			start()
		}
	}()
	return n
}

func (n *nursery) start(command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A group of its own keeps a Ctrl-C for us away from it: it is stopped in order.
		Setpgid: true,
	}
	result := make(chan error)
	n.starts <- func() { result <- command.Start() }
	return <-result
}

func (n *nursery) close() { close(n.starts) }

// process is one running program of a cluster.
type process struct {
	name    string
	log     string
	command *exec.Cmd
	// ended is closed once the process is gone and failure says how.
	ended   chan struct{}
	failure error
	// asked is set once it is our will that it ends.
	asked atomic.Bool
}

// program is the path of a program.
func (c *Cluster) program(name string) string {
	for _, dir := range c.programs {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	return name
}

// launch starts a program of the cluster in its run directory, where it also finds its home and its temporary files, with
// the cluster's programs before all others. What it prints is appended to <name>.log there.
func (c *Cluster) launch(name string, arguments ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(c.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.command = exec.Command(c.program(name), arguments...)
	p.command.Dir = c.dir
	p.command.Env = []string{"HOME=" + c.dir, "TMPDIR=" + c.dir, "PATH=" + strings.Join(append(slices.Clone(c.programs), os.Getenv("PATH")), string(os.PathListSeparator))}
	p.command.Stdout, p.command.Stderr = log, log
	if err := c.nursery.start(p.command); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.failure = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process as a power cut would and returns when it is gone. Nil is no process.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.asked.Store(true)
	_ = p.command.Process.Kill()
	<-p.ended
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// report writes to log, from now on, when the process ends without being asked to.
func (p *process) report(log io.Writer) {
	go func() {
		<-p.ended
		if !p.asked.Load() {
			fmt.Fprintln(log, p.obituary())
		}
	}()
}

// obituary is what to say about a process that ended without being asked to.
func (p *process) obituary() error {
	content, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s ended: %v; the last that it said:\n%s", p.name, p.failure, host.LastLines(string(content), 15))
}
