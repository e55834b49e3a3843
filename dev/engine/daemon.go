package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moby/moby/client"

	"windlass/dev/engine/host"
)

// systemPath is where daemons live, also when the caller's PATH is that of an ordinary user.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// start brings a daemon up on this machine and waits until it answers.
func start(ctx context.Context, engine *client.Client, out io.Writer) error {
	if err := os.Setenv("PATH", os.Getenv("PATH")+":"+systemPath); err != nil {
		return err
	}
	if missing := missingPackages(); len(missing) > 0 {
		fmt.Fprintf(out, "Installing %s with apt-get ...\n", strings.Join(missing, ", "))
		if err := host.InstallPackages(ctx, missing...); err != nil {
			return err
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		fmt.Fprintln(out, "Starting docker.service ...")
		if output, err := exec.CommandContext(ctx, "systemctl", "start", "docker.service").CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl start docker.service: %w: %s", err, host.LastLines(string(output), 10))
		}
		return awaitAnswer(ctx, engine, nil)
	}
	if starting() {
		// Debian's package starts the daemon itself where it finds an init system that it knows.
		fmt.Fprintln(out, "Waiting for the dockerd that is starting ...")
		return awaitAnswer(ctx, engine, nil)
	}
	path, err := logPath()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Starting dockerd, log in %s ...\n", path)
	ended, err := launch(path)
	if err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	err = awaitAnswer(ctx, engine, ended)
	content, _ := os.ReadFile(path)
	if err != nil && strings.Contains(string(content), "address already in use") {
		// One that somebody else has started meanwhile was faster.
		err = awaitAnswer(ctx, engine, nil)
	}
	if err != nil {
		return fmt.Errorf("start dockerd: %w; the end of %s:\n%s", err, path, host.LastLines(string(content), 20))
	}
	fmt.Fprintln(out, "The container engine is up.")
	return nil
}

// missingPackages names Debian's packages for the programs that are not there. The daemon cannot make networks without iptables.
func missingPackages() []string {
	var missing []string
	if _, err := exec.LookPath("dockerd"); err != nil {
		missing = append(missing, "docker.io")
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		missing = append(missing, "iptables")
	}
	// Where the kernel has AppArmor on, no container starts without the program that loads its profile.
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if _, err := exec.LookPath("apparmor_parser"); err != nil && strings.HasPrefix(string(enabled), "Y") {
		missing = append(missing, "apparmor")
	}
	return missing
}

// starting tells whether a dockerd has begun and written down its process id, which it does before it answers.
func starting() bool {
	id, err := os.ReadFile("/run/docker.pid")
	if err != nil {
		return false
	}
	name, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(id)), "comm"))
	return err == nil && strings.TrimSpace(string(name)) == "dockerd"
}

// launch starts dockerd in a session of its own with no open file of ours, so that neither a Ctrl-C here nor the end of the
// caller reaches it, and nobody waits for it to close an inherited output. The channel tells when it ends.
func launch(path string) (<-chan error, error) {
	log, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	daemon := exec.Command("dockerd")
	daemon.Stdout = log
	daemon.Stderr = log
	daemon.Dir = "/"
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	return ended, nil
}

// logPath is the first of the usual directories that can be written.
func logPath() (string, error) {
	for _, dir := range []string{"/var/log", os.TempDir()} {
		path := filepath.Join(dir, "windlass-dockerd.log")
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o640)
		if err == nil {
			return path, file.Close()
		}
	}
	return "", fmt.Errorf("no place for the log of dockerd in /var/log or %s", os.TempDir())
}
