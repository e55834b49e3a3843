package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// janitor is a process that outlives this one by a moment and cleans up then. It holds the reading end of a pipe
// whose writing end only we have: the pipe ends with us, however we end.
type janitor struct {
	command *exec.Cmd
	pipe    *os.File
}

// The programs of the cluster may still write while they are being ended, so removing may need more than one try. A control
// group is gone when the directories are that belong to it, which cannot be emptied, from the innermost on.
const cleaning = `
	cat
	for try in 1 2 3 4 5 6 7 8 9 10; do
		[ -z "$1" ] || find ` + controlGroups + ` -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null
		rm -rf "$0" 2>/dev/null && break
		sleep 0.1
	done
`

// hireJanitor has a directory and a control group removed after this process; an empty name is no group.
func hireJanitor(dir, controlGroup string) (*janitor, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	command := exec.Command("/bin/sh", "-c", cleaning, dir, controlGroup)
	command.Dir = "/"
	command.Stdin = reader
	// In a session of its own it does not hear the Ctrl-C that ends us.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		_ = writer.Close()
		return nil, fmt.Errorf("start the removal of the cluster's files: %w", err)
	}
	return &janitor{command: command, pipe: writer}, nil
}

// dismiss has the directory removed now and returns when it is gone. Nil has nothing to remove.
func (j *janitor) dismiss() {
	if j == nil {
		return
	}
	_ = j.pipe.Close()
	_ = j.command.Wait()
}
