package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// readyTimeout bounds the start of a process on a busy machine.
const readyTimeout = time.Minute

// process is a program that runs beside the demo, in a session of its own so that
// it can outlive it. Its output goes to a log file.
type process struct {
	command *exec.Cmd
	done    chan struct{}
}

// launch starts a program and waits for the line "ready" on its output. Each line
// before is given to seen.
func launch(ctx context.Context, log string, seen func(line string), program string, arguments ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	from, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.Command(program, arguments...), done: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = file, file
	p.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.done)
	}()
	if err := p.awaitReady(ctx, log, from, seen); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return p, nil
}

func (p *process) awaitReady(ctx context.Context, log string, from int64, seen func(string)) error {
	file, err := os.Open(log)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	reader := bufio.NewReader(file)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(readyTimeout)
	var line string
	for {
		part, err := reader.ReadString('\n')
		line += part
		if err == nil {
			if strings.HasPrefix(line, "ready") {
				return nil
			}
			seen(strings.TrimSpace(line))
			line = ""
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("ended before it was ready")
		case <-deadline:
			return fmt.Errorf("was not ready after %s", readyTimeout)
		case <-ticker.C:
		}
	}
}

func (p *process) pid() int { return p.command.Process.Pid }

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.done
}

// stop asks the process to end, and makes it when it does not.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
	}
}
