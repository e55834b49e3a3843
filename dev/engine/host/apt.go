package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// InstallPackages installs packages with apt-get without asking anything, after bringing the package lists up to date. It needs
// root and a Debian machine; the error says what to run by hand when one of them is missing, and otherwise carries the last
// lines that apt-get printed.
func InstallPackages(ctx context.Context, packages ...string) error {
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install %s: this machine has no apt-get: install them by its own means and try again", list)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("install %s: needs root: run `apt-get install %s` as root and try again", list, list)
	}
	if err := aptGet(ctx, "update"); err != nil {
		return fmt.Errorf("install %s: %w", list, err)
	}
	arguments := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	if err := aptGet(ctx, arguments...); err != nil {
		return fmt.Errorf("install %s: %w", list, err)
	}
	return nil
}

func aptGet(ctx context.Context, arguments ...string) error {
	// Another apt-get, such as an unattended upgrade on a fresh machine, may hold dpkg's lock for a while.
	arguments = append([]string{"-qq", "-o", "DPkg::Lock::Timeout=300"}, arguments...)
	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", arguments[3], err, LastLines(string(output), 10))
	}
	return nil
}

// LastLines returns the last lines of a text that are not blank, at most count of them.
func LastLines(text string, count int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
