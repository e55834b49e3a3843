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

// The programs of the cluster may still run and write while they are being ended, so removing may need more than one try. A
// control group goes by the removal of its directories, which cannot be emptied, from the innermost on.
const cleaning = `
	cat
	groups() { find ` + controlGroups + ` -depth -type d '(' -name "${0##*/}" -o -path "*/${0##*/}/*" ')'; }
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		groups | xargs -r rmdir 2>/dev/null
		rm -rf "$0" 2>/dev/null && [ -z "$(groups)" ] && exit
		sleep 0.1
	done
`

// hireJanitor has a directory removed after this process, and the control group of the same name where there is one.
func hireJanitor(dir string) (*janitor, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	command := exec.Command("/bin/sh", "-c", cleaning, dir)
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
